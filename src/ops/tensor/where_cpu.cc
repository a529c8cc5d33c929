#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

class WhereKernel final : public CpuKernel {
 public:
  explicit WhereKernel(const KernelContext&) {}
  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    const auto loop = broadcast_loop(
        out.shape(), {&run.inputs[0].shape(), &run.inputs[1].shape(), &run.inputs[2].shape()});
    const bool* condition = elements<bool>(run.inputs[0]);
    dispatch_element(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* yes = elements<T>(run.inputs[1]);
      const T* no = elements<T>(run.inputs[2]);
      T* to = elements<T>(out);
      for_each_run(loop, run.pool, [&](int64_t at, const int64_t* offsets, int64_t count) {
        for (int64_t i = 0; i < count; ++i) {
          to[at + i] = condition[offsets[0] + i * loop.step(0)] ? yes[offsets[1] + i * loop.step(1)]
                                                                : no[offsets[2] + i * loop.step(2)];
        }
      });
    });
  }
  // Each output needs one element of each input; one that is broadcast has another size.
  bool in_place(int input) const override { return input != 0; }
};

}  // namespace

const CpuImplementation kWhereCpu[1] = {{"where", refuse_packed, create_kernel<WhereKernel>}};

}  // namespace tercel::ops
