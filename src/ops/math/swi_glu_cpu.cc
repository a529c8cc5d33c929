#include <cmath>

#include "src/ops/cpu_util.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

class SwiGluKernel final : public CpuKernel {
 public:
  explicit SwiGluKernel(const KernelContext& context)
      : alpha_(context.node.float_or("alpha", 1.0F)) {}

  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      map_binary<T, T, T>(run.inputs[0], run.inputs[1], run.outputs[0], run.pool,
                          [&](ComputeType<T> a, ComputeType<T> b) {
                            const auto gate = static_cast<ComputeType<T>>(alpha_) * a;
                            return a / (1 + std::exp(-gate)) * b;
                          });
    });
  }

 private:
  float alpha_;
};

constexpr CpuImplementation kSwiGluImplementations[] = {
    {"swi_glu", refuse_input0<FloatTypes>, create_kernel<SwiGluKernel>}};
constexpr CpuOp kSwiGluOps[] = {{"", "SwiGLU", kSwiGluImplementations}};

}  // namespace

CpuFamily swi_glu_cpu_ops() { return kSwiGluOps; }

}  // namespace tercel::ops
