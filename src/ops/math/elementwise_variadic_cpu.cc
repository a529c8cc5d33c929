// Max, Mean, Min and Sum: folded from the left, two at a time. In half precision each step rounds.
#include <cmath>

#include "src/ops/math/elementwise_f32_cpu.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

using kernels::BinaryOp;
enum class Fold { max, mean, min, sum };

Fold fold_of(const ir::Node& node) {
  if (node.is("Max")) return Fold::max;
  if (node.is("Min")) return Fold::min;
  return node.is("Mean") ? Fold::mean : Fold::sum;
}

class FoldKernel : public CpuKernel {
 public:
  explicit FoldKernel(const KernelContext& context) : fold_(fold_of(context.node)) {}

  // The first input is read before the output is written; the others come later.
  bool in_place(int input) const override { return input == 0; }

  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    broadcast_to(run.inputs[0], out, run.pool);
    for (std::size_t i = 1; i < run.inputs.size(); ++i) add(out, run.inputs[i], run.pool);
    if (fold_ == Fold::mean) divide(out, static_cast<double>(run.inputs.size()), run.pool);
  }

 protected:
  virtual void add(Tensor& out, const Tensor& next, ThreadPool& pool) const {
    dispatch_dtype(NumericTypes{}, out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      map_binary<T, T, T>(out, next, out, pool, [fold = fold_](auto a, auto b) {
        if constexpr (std::is_floating_point_v<decltype(a)>) {
          if (std::isnan(a) || std::isnan(b)) return a + b;
        }
        if (fold == Fold::max) return a < b ? b : a;
        if (fold == Fold::min) return b < a ? b : a;
        return static_cast<decltype(a)>(a + b);
      });
    });
  }
  Fold fold() const { return fold_; }

 private:
  static void broadcast_to(const Tensor& in, Tensor& out, ThreadPool& pool) {
    if (in.data() == out.data()) return;
    dispatch_dtype(NumericTypes{}, out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      map_binary<T, T, T>(in, in, out, pool, [](auto a, auto) { return a; });
    });
  }
  static void divide(Tensor& out, double by, ThreadPool& pool) {
    dispatch_dtype(FloatTypes{}, out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      map_unary<T, T>(out, out, pool, [by](auto x) { return x / static_cast<ComputeType<T>>(by); });
    });
  }

  Fold fold_;
};

class VariadicVectorKernel final : public FoldKernel {
 public:
  explicit VariadicVectorKernel(const KernelContext& context)
      : FoldKernel(context), kernels_(kernels::cpu_kernels(context.isa)) {}

 protected:
  void add(Tensor& out, const Tensor& next, ThreadPool& pool) const override {
    const BinaryOp op = fold() == Fold::max   ? BinaryOp::max
                        : fold() == Fold::min ? BinaryOp::min
                                              : BinaryOp::add;
    broadcast_f32(kernels_, op, out, next, out, pool);
  }

 private:
  const kernels::CpuKernels& kernels_;
};

std::string refuse_generic_variadic(const KernelContext& context) {
  const Fold fold = fold_of(context.node);
  return fold == Fold::max || fold == Fold::min ? refuse_input0<NumericTypes>(context)
                                                : refuse_input0<FloatTypes>(context);
}

template <class Kernel>
std::unique_ptr<CpuKernel> create_variadic(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kVariadicImplementations[] = {
    {"elementwise_f32", refuse_unless_f32, create_variadic<VariadicVectorKernel>},
    {"elementwise_generic", refuse_generic_variadic, create_variadic<FoldKernel>}};
constexpr CpuOp kVariadicOps[] = {{"", "Max", kVariadicImplementations},
                                  {"", "Mean", kVariadicImplementations},
                                  {"", "Min", kVariadicImplementations},
                                  {"", "Sum", kVariadicImplementations}};

}  // namespace

CpuFamily elementwise_variadic_cpu_ops() { return kVariadicOps; }

}  // namespace tercel::ops
