#include "src/kernels/cpu/kernels.h"
#include "src/ops/quantization/quantization_cpu.h"

namespace tercel::ops {
namespace {

float number(const Tensor& tensor) { return *elements<float>(tensor); }

class AddKernel final : public CpuKernel {
 public:
  explicit AddKernel(const KernelContext& context)
      : kernels_(kernels::cpu_kernels(context.isa).quantize) {}

  void run(const KernelRun& run) const override {
    Tensor& y = run.outputs[0];
    if (y.size() == 0) return;
    const float scale = number(run.inputs[6]);
    const auto addend = [&](std::size_t at) -> kernels::ByteAddend {
      const Tensor& bytes = run.inputs[at];
      return {bytes.data(), byte_type(bytes.dtype(), byte_at(run.inputs[at + 2], 0)),
              number(run.inputs[at + 1]) / scale};
    };
    kernels_.add({.count = y.size(),
                  .a = addend(0),
                  .b = addend(3),
                  .y = y.data(),
                  .type = byte_type(y.dtype(), byte_at(run.inputs[7], 0))},
                 run.pool);
  }

  bool in_place(int input) const override { return input == 0 || input == 3; }

 private:
  const kernels::QuantizeKernels& kernels_;
};

std::string refuse_add(const KernelContext& context) {
  for (const int index : {0, 3, 7}) {
    if (std::string reason = refuse_dtype(ByteTypes{}, context.input_dtype(index)); !reason.empty())
      return reason;
  }
  for (const int index : {1, 2, 4, 5, 6, 7}) {
    const ir::Type* type = context.facts.type(context.node.input(index));
    const auto shape = type != nullptr ? type->shape() : std::nullopt;
    if (!shape || element_count(*shape) != 1) return "not of one scale";
  }
  for (const int index : {1, 4, 6}) {
    if (context.input_dtype(index) != Dtype::f32) return "scales are not f32";
  }
  return {};
}

}  // namespace

const CpuImplementation kLinearAddCpu[1] = {{"add_bytes", refuse_add, create_kernel<AddKernel>}};

}  // namespace tercel::ops
