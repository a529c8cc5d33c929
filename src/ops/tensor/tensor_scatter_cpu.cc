#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

class TensorScatterKernel final : public CpuKernel {
 public:
  explicit TensorScatterKernel(const KernelContext& context)
      : label_(context.node.label()),
        axis_(context.node.int_or("axis", -2)),
        circular_(context.node.string_or("mode", "linear") == "circular") {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Tensor& update = run.inputs[1];
    Tensor& out = run.outputs[0];
    copy_all(run.inputs[0], out, run.pool);
    if (update.size() == 0) return;
    const AxisView cache = view_axis(out.shape(), axis_);
    const AxisView given = view_axis(update.shape(), axis_);
    const int64_t per_item = cache.outer / out.shape()[0];
    const bool placed = run.inputs.size() > 2 && run.inputs[2].defined();
    const auto indices = placed ? integer_values(run.inputs[2])
                                : std::vector<int64_t>(static_cast<std::size_t>(out.shape()[0]), 0);
    dispatch_element(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < given.outer * given.axis; ++i) {
        const int64_t outer = i / given.axis;
        const int64_t place = place_of(indices[static_cast<std::size_t>(outer / per_item)],
                                       i % given.axis, cache.axis);
        std::copy_n(elements<T>(update) + i * cache.inner, cache.inner,
                    elements<T>(out) + (outer * cache.axis + place) * cache.inner);
      }
    });
  }

 private:
  int64_t place_of(int64_t index, int64_t step, int64_t size) const {
    if (index < 0 || (!circular_ && index > size - 1 - step)) {
      fail(Errc::invalid_argument, "{} writes step {} at index {}; the cache has {} steps", label_,
           step, index, size);
    }
    return (index % size + step) % size;
  }

  std::string label_;
  int64_t axis_;
  bool circular_;
};

}  // namespace

const CpuImplementation kTensorScatterCpu[1] = {
    {"tensor_scatter", refuse_packed, create_kernel<TensorScatterKernel>}};

}  // namespace tercel::ops
