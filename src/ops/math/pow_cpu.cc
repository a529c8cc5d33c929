#include <cmath>

#include "src/ops/math/elementwise_f32_cpu.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

class PowVectorKernel final : public CpuKernel {
 public:
  explicit PowVectorKernel(const KernelContext& context)
      : kernels_(kernels::cpu_kernels(context.isa)) {}

  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    const Tensor& y = run.inputs[1];
    // Squares are what normalisations written out in full are made of.
    const bool square = y.size() == 1 && elements<float>(y)[0] == 2.0F;
    if (square && x.shape() == run.outputs[0].shape())
      broadcast_f32(kernels_, kernels::BinaryOp::mul, x, x, run.outputs[0], run.pool);
    else
      broadcast_f32(kernels_, kernels::BinaryOp::pow, x, y, run.outputs[0], run.pool);
  }

 private:
  const kernels::CpuKernels& kernels_;
};

// x to the power of y in the ring of 64-bit integers. A negative power of another base than 1 or -1
// is between -1 and 1 and becomes 0.
int64_t integer_power(int64_t x, int64_t y) {
  if (y < 0) return x == 1 ? 1 : x == -1 ? (y % 2 == 0 ? 1 : -1) : 0;
  uint64_t result = 1;
  for (auto base = static_cast<uint64_t>(x); y > 0; y >>= 1, base *= base) {
    if ((y & 1) != 0) result *= base;
  }
  return static_cast<int64_t>(result);
}

// The exponent may have another element type than the base and the result.
class PowGenericKernel final : public CpuKernel {
 public:
  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    dispatch_dtype(BaseTypes{}, run.inputs[0].dtype(), [&](auto base) {
      dispatch_dtype(NumericTypes{}, run.inputs[1].dtype(), [&](auto exponent) {
        using T = typename decltype(base)::type;
        using E = typename decltype(exponent)::type;
        map_binary<T, E, T>(run.inputs[0], run.inputs[1], run.outputs[0], run.pool,
                            [](auto x, auto y) {
                              if constexpr (std::is_integral_v<T> && std::is_integral_v<E>)
                                return static_cast<T>(integer_power(x, static_cast<int64_t>(y)));
                              else
                                return static_cast<ComputeType<T>>(
                                    std::pow(static_cast<double>(x), static_cast<double>(y)));
                            });
      });
    });
  }

  using BaseTypes = decltype(FloatTypes{} + Types<int32_t, int64_t>{});
};

std::string refuse_f32_pow(const KernelContext& context) {
  const std::string reason = refuse_dtype(Types<float>{}, context.input_dtype(1));
  return reason.empty() ? refuse_unless_f32(context) : reason;
}
std::string refuse_generic_pow(const KernelContext& context) {
  const std::string reason = refuse_dtype(NumericTypes{}, context.input_dtype(1));
  return reason.empty() ? refuse_input0<PowGenericKernel::BaseTypes>(context) : reason;
}

std::unique_ptr<CpuKernel> create_f32(const KernelContext& context) {
  return std::make_unique<PowVectorKernel>(context);
}
std::unique_ptr<CpuKernel> create_generic(const KernelContext&) {
  return std::make_unique<PowGenericKernel>();
}

constexpr CpuImplementation kPowImplementations[] = {
    {"pow_f32", refuse_f32_pow, create_f32}, {"pow_generic", refuse_generic_pow, create_generic}};
constexpr CpuOp kPowOps[] = {{"", "Pow", kPowImplementations}};

}  // namespace

CpuFamily pow_cpu_ops() { return kPowOps; }

}  // namespace tercel::ops
