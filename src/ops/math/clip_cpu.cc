#include <cmath>
#include <limits>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

// The bound in input `index`, or the widest possible one.
template <class T>
ComputeType<T> bound(const KernelRun& run, std::size_t index) {
  if (run.inputs.size() > index && run.inputs[index].defined())
    return load(*elements<T>(run.inputs[index]));
  using Limits = std::numeric_limits<ComputeType<T>>;
  if constexpr (Limits::has_infinity) return index == 1 ? -Limits::infinity() : Limits::infinity();
  return index == 1 ? Limits::lowest() : Limits::max();
}

class ClipVectorKernel final : public CpuKernel {
 public:
  explicit ClipVectorKernel(const KernelContext& context)
      : kernels_(kernels::cpu_kernels(context.isa)) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    kernels_.elementwise.unary({.op = kernels::UnaryOp::clip,
                                .count = run.inputs[0].size(),
                                .x = elements<float>(run.inputs[0]),
                                .y = elements<float>(run.outputs[0]),
                                .alpha = bound<float>(run, 1),
                                .beta = bound<float>(run, 2)},
                               run.pool);
  }

 private:
  const kernels::CpuKernels& kernels_;
};

class ClipGenericKernel final : public CpuKernel {
 public:
  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    dispatch_dtype(NumericTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto low = bound<T>(run, 1);
      const auto high = bound<T>(run, 2);
      map_unary<T, T>(run.inputs[0], run.outputs[0], run.pool, [low, high](auto x) {
        const auto raised = x < low ? low : x;
        return raised > high ? high : raised;
      });
    });
  }
};

std::unique_ptr<CpuKernel> create_f32_clip(const KernelContext& context) {
  return std::make_unique<ClipVectorKernel>(context);
}
std::unique_ptr<CpuKernel> create_generic_clip(const KernelContext&) {
  return std::make_unique<ClipGenericKernel>();
}

constexpr CpuImplementation kClipImplementations[] = {
    {"elementwise_f32", refuse_unless_f32, create_f32_clip},
    {"elementwise_generic", refuse_input0<NumericTypes>, create_generic_clip}};
constexpr CpuOp kClipOps[] = {{"", "Clip", kClipImplementations}};

}  // namespace

CpuFamily clip_cpu_ops() { return kClipOps; }

}  // namespace tercel::ops
