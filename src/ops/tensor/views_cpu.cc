// Operators whose output is the input's elements under another shape.

#include <cstring>

#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

class Copy final : public CpuKernel {
 public:
  explicit Copy(const KernelContext&) {}
  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    const Tensor& in = run.inputs[0];
    if (in.size() != out.size()) {
      fail(Errc::invalid_argument, "shape {} cannot become {}", to_string(in.shape()),
           to_string(out.shape()));
    }
    if (element_bytes(in.dtype()) != 0) {
      copy_all(in, out, run.pool);
    } else if (in.data() != out.data() && in.bytes() > 0) {
      std::memcpy(out.data(), in.data(), in.bytes());
    }
  }
  bool in_place(int input) const override { return input == 0; }
};

std::string refuse_unknown(const KernelContext& context) {
  return context.input_dtype(0) == Dtype::undefined ? "the element type is not known"
                                                    : std::string();
}

}  // namespace

const CpuImplementation kViewCpu[1] = {{"view", refuse_unknown, create_kernel<Copy>}};

}  // namespace tercel::ops
