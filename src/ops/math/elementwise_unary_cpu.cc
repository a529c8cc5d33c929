#include <algorithm>
#include <cmath>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

using kernels::UnaryOp;

// One operator for all element types: as a vector kernel where there is one, and as a function of
// each kind of number that ONNX allows it. alpha and beta are the node's attributes.
struct UnaryFunction {
  std::string_view name;
  std::optional<UnaryOp> vector;
  double (*real)(double x, double alpha, double beta);
  int64_t (*integer)(int64_t x) = nullptr;
  uint64_t (*natural)(uint64_t x) = nullptr;
  float alpha = 0.0F, beta = 0.0F;  // defaults
  std::string_view beta_name = "beta";
  std::string_view alpha_name = "alpha";
};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
double sign(double x) { return x > 0 ? 1 : x < 0 ? -1 : x; }
double clamp_unit(double x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
double gelu(double x) { return 0.5 * x * (1 + std::erf(x * M_SQRT1_2)); }
double gelu_tanh(double x) {
  return 0.5 * x * (1 + std::tanh(M_2_SQRTPI * M_SQRT1_2 * (x + 0.044715 * x * x * x)));
}
int64_t negate(int64_t x) { return static_cast<int64_t>(-static_cast<uint64_t>(x)); }

// clang-format off
constexpr UnaryFunction kUnaryFunctions[] = {
    {"Abs", UnaryOp::abs, [](double x, double, double) { return std::fabs(x); },
     [](int64_t x) { return x < 0 ? negate(x) : x; }, [](uint64_t x) { return x; }},
    {"Acos", {}, [](double x, double, double) { return std::acos(x); }},
    {"Acosh", {}, [](double x, double, double) { return std::acosh(x); }},
    {"Asin", {}, [](double x, double, double) { return std::asin(x); }},
    {"Asinh", {}, [](double x, double, double) { return std::asinh(x); }},
    {"Atan", {}, [](double x, double, double) { return std::atan(x); }},
    {"Atanh", {}, [](double x, double, double) { return std::atanh(x); }},
    {"BitwiseNot", {}, nullptr, [](int64_t x) { return ~x; }, [](uint64_t x) { return ~x; }},
    {"Ceil", UnaryOp::ceil, [](double x, double, double) { return std::ceil(x); }},
    {"Celu", {}, [](double x, double a, double) { return x < 0 ? a * std::expm1(x / a) : x; },
     nullptr, nullptr, 1.0F},
    {"Cos", UnaryOp::cos, [](double x, double, double) { return std::cos(x); }},
    {"Cosh", {}, [](double x, double, double) { return std::cosh(x); }},
    {"Elu", UnaryOp::elu, [](double x, double a, double) { return x < 0 ? a * std::expm1(x) : x; },
     nullptr, nullptr, 1.0F},
    {"Erf", UnaryOp::erf, [](double x, double, double) { return std::erf(x); }},
    {"Exp", UnaryOp::exp, [](double x, double, double) { return std::exp(x); }},
    {"Floor", UnaryOp::floor, [](double x, double, double) { return std::floor(x); }},
    {"Gelu", UnaryOp::gelu, [](double x, double, double) { return gelu(x); }},
    {"HardSigmoid", UnaryOp::hard_sigmoid,
     [](double x, double a, double b) { return clamp_unit(a * x + b); },
     nullptr, nullptr, 0.2F, 0.5F},
    {"HardSwish", {}, [](double x, double, double) { return x * clamp_unit(x / 6 + 0.5); }},
    {"LeakyRelu", UnaryOp::leaky_relu, [](double x, double a, double) { return x < 0 ? a * x : x; },
     nullptr, nullptr, 0.01F},
    {"Log", UnaryOp::log, [](double x, double, double) { return std::log(x); }},
    {"Mish", {}, [](double x, double, double) { return x * std::tanh(softplus(x)); }},
    {"Neg", UnaryOp::neg, [](double x, double, double) { return -x; }, negate},
    {"Reciprocal", UnaryOp::reciprocal, [](double x, double, double) { return 1 / x; }},
    {"Relu", UnaryOp::relu, [](double x, double, double) { return x < 0 ? 0 : x; },
     [](int64_t x) { return x < 0 ? 0 : x; }},
    {"Round", UnaryOp::round, [](double x, double, double) { return std::nearbyint(x); }},
    {"Selu", {}, [](double x, double a, double g) { return g * (x > 0 ? x : a * std::expm1(x)); },
     nullptr, nullptr, 1.67326319217681884765625F, 1.05070102214813232421875F, "gamma"},
    {"Shrink", {}, [](double x, double l, double b) { return x < -l ? x + b : x > l ? x - b : 0; },
     nullptr, nullptr, 0.5F, 0.0F, "bias", "lambd"},
    {"Sigmoid", UnaryOp::sigmoid, [](double x, double, double) { return sigmoid(x); }},
    {"Sign", UnaryOp::sign, [](double x, double, double) { return sign(x); },
     [](int64_t x) { return int64_t{x > 0} - int64_t{x < 0}; },
     [](uint64_t x) { return uint64_t{x > 0}; }},
    {"Sin", UnaryOp::sin, [](double x, double, double) { return std::sin(x); }},
    {"Sinh", {}, [](double x, double, double) { return std::sinh(x); }},
    {"Softplus", UnaryOp::softplus, [](double x, double, double) { return softplus(x); }},
    {"Softsign", {}, [](double x, double, double) { return x / (1 + std::fabs(x)); }},
    {"Sqrt", UnaryOp::sqrt, [](double x, double, double) { return std::sqrt(x); }},
    {"Swish", {}, [](double x, double a, double) { return x * sigmoid(a * x); },
     nullptr, nullptr, 1.0F},
    {"Tan", {}, [](double x, double, double) { return std::tan(x); }},
    {"Tanh", UnaryOp::tanh, [](double x, double, double) { return std::tanh(x); }},
    {"ThresholdedRelu", {}, [](double x, double a, double) { return x > a ? x : 0; },
     nullptr, nullptr, 1.0F},
};
// clang-format on

// The node's function, its attributes read.
UnaryFunction function_of_unary(const ir::Node& node) {
  const auto* row = std::find_if(std::begin(kUnaryFunctions), std::end(kUnaryFunctions),
                                 [&](const UnaryFunction& f) { return f.name == node.op_type(); });
  TERCEL_CHECK(row != std::end(kUnaryFunctions));
  UnaryFunction function = *row;
  function.alpha = node.float_or(function.alpha_name, function.alpha);
  function.beta = node.float_or(function.beta_name, function.beta);
  if (node.is("Gelu") && node.string_or("approximate", "none") == "tanh") {
    function.vector = UnaryOp::gelu_tanh;
    function.real = [](double x, double, double) { return gelu_tanh(x); };
  }
  if (node.is("Swish") && function.alpha == 1.0F) function.vector = UnaryOp::silu;
  return function;
}

class UnaryVectorKernel : public CpuKernel {
 public:
  explicit UnaryVectorKernel(const KernelContext& context)
      : function_(function_of_unary(context.node)), kernels_(kernels::cpu_kernels(context.isa)) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    apply(elements<float>(run.inputs[0]), elements<float>(run.outputs[0]), run.inputs[0].size(),
          run.pool);
  }

 protected:
  void apply(const float* x, float* y, int64_t count, ThreadPool& pool) const {
    kernels_.elementwise.unary({*function_.vector, count, x, y, function_.alpha, function_.beta},
                               pool);
  }
  const kernels::CpuKernels& kernels() const { return kernels_; }

 private:
  UnaryFunction function_;
  const kernels::CpuKernels& kernels_;
};

// f16 and bf16, widened piece by piece.
class HalfKernel final : public UnaryVectorKernel {
 public:
  using UnaryVectorKernel::UnaryVectorKernel;

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    const auto* from = elements<uint16_t>(x);
    auto* to = elements<uint16_t>(run.outputs[0]);
    run.pool.parallel_for(x.size(), kPiece, [&](int64_t begin, int64_t end) {
      alignas(64) float piece[kPiece];
      for (; begin < end; begin += kPiece) {
        const int64_t count = std::min(end - begin, kPiece);
        kernels().convert.convert({count, from + begin, x.dtype(), piece, Dtype::f32}, run.pool);
        apply(piece, piece, count, run.pool);
        kernels().convert.convert({count, piece, Dtype::f32, to + begin, x.dtype()}, run.pool);
      }
    });
  }

 private:
  static constexpr int64_t kPiece = 4096;
};

class UnaryGenericKernel final : public CpuKernel {
 public:
  explicit UnaryGenericKernel(const KernelContext& context)
      : function_(function_of_unary(context.node)) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    dispatch_dtype(NumericTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      apply<T>(elements<T>(run.inputs[0]), elements<T>(run.outputs[0]), run);
    });
  }

 private:
  template <class T>
  void apply(const T* x, T* y, const KernelRun& run) const {
    const UnaryFunction& f = function_;
    run.pool.parallel_for(run.inputs[0].size(), kGrain / 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if constexpr (std::is_same_v<WideType<T>, double>)
          y[i] = narrow<T>(f.real(widen(x[i]), f.alpha, f.beta));
        else if constexpr (std::is_same_v<WideType<T>, int64_t>)
          y[i] = narrow<T>(f.integer(widen(x[i])));
        else
          y[i] = narrow<T>(f.natural(widen(x[i])));
      }
    });
  }

  UnaryFunction function_;
};

std::string refuse_no_vector(const KernelContext& context) {
  return function_of_unary(context.node).vector ? std::string()
                                                : "has no vector form of the operator";
}
std::string refuse_f32_unary(const KernelContext& context) {
  const std::string reason = refuse_unless_f32(context);
  return reason.empty() ? refuse_no_vector(context) : reason;
}
std::string refuse_half_unary(const KernelContext& context) {
  const std::string reason = refuse_input0<Types<f16, bf16>>(context);
  return reason.empty() ? refuse_no_vector(context) : reason;
}
std::string refuse_generic_unary(const KernelContext& context) {
  const UnaryFunction function = function_of_unary(context.node);
  const Dtype dtype = context.input_dtype(0);
  if (function.real != nullptr && contains(FloatTypes{}, dtype)) return {};
  if (function.integer != nullptr && contains(SignedTypes{}, dtype)) return {};
  if (function.natural != nullptr && contains(UnsignedTypes{}, dtype)) return {};
  return fmt::format("the operator takes no {}", to_string(dtype));
}

template <class Kernel>
std::unique_ptr<CpuKernel> create_unary(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kUnaryImplementations[] = {
    {"elementwise_f32", refuse_f32_unary, create_unary<UnaryVectorKernel>},
    {"elementwise_half", refuse_half_unary, create_unary<HalfKernel>},
    {"elementwise_generic", refuse_generic_unary, create_unary<UnaryGenericKernel>}};

}  // namespace

CpuFamily elementwise_unary_cpu_ops() {
  static const std::vector<CpuOp> ops = [] {
    std::vector<CpuOp> rows;
    for (const UnaryFunction& function : kUnaryFunctions)
      rows.push_back({"", function.name, kUnaryImplementations});
    return rows;
  }();
  return ops;
}

}  // namespace tercel::ops
