#include <cstring>

#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

// Inference: every element is kept.
class DropoutKernel final : public CpuKernel {
 public:
  explicit DropoutKernel(const KernelContext& context) : label_(context.node.label()) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    if (run.inputs.size() > 2 && run.inputs[2].defined() && *elements<bool>(run.inputs[2])) {
      fail(Errc::unsupported, "{} training_mode is true; only inference is supported", label_);
    }
    const Tensor& x = run.inputs[0];
    Tensor& y = run.outputs[0];
    if (y.data() != x.data() && x.bytes() > 0) std::memcpy(y.data(), x.data(), x.bytes());
    if (run.outputs.size() > 1 && run.outputs[1].defined()) {
      const auto mask = run.outputs[1].values<bool>();
      std::fill(mask.begin(), mask.end(), true);
    }
  }

 private:
  std::string label_;
};

std::string refuse_dropout(const KernelContext& context) {
  const Tensor* training = context.constant(2);
  if (training != nullptr && training->size() > 0 && *elements<bool>(*training))
    return "training_mode is true; only inference is supported";
  return refuse_input0<FloatTypes>(context);
}

std::unique_ptr<CpuKernel> create_dropout(const KernelContext& context) {
  return std::make_unique<DropoutKernel>(context);
}

constexpr CpuImplementation kDropoutImplementations[] = {{"copy", refuse_dropout, create_dropout}};
constexpr CpuOp kDropoutOps[] = {{"", "Dropout", kDropoutImplementations}};

}  // namespace

CpuFamily dropout_cpu_ops() { return kDropoutOps; }

}  // namespace tercel::ops
