#include <cstring>

#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

class BitCastKernel final : public CpuKernel {
 public:
  explicit BitCastKernel(const KernelContext&) {}
  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    if (in.data() != out.data() && in.bytes() > 0) std::memcpy(out.data(), in.data(), in.bytes());
  }
};

std::string refuse_bit_cast(const KernelContext& context) {
  return bits_of(context.input_dtype(0)) == 0 ? "the input has no fixed size" : "";
}

}  // namespace

const CpuImplementation kBitCastCpu[1] = {
    {"bit_cast", refuse_bit_cast, create_kernel<BitCastKernel>}};

}  // namespace tercel::ops
