#include <algorithm>
#include <cmath>

#include "src/ops/math/elementwise_f32_cpu.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

using kernels::BinaryOp;

// One operator for all element types: see elementwise_unary_cpu.cc.
struct BinaryFunction {
  std::string_view name;
  std::optional<BinaryOp> vector;
  double (*real)(double a, double b) = nullptr;
  int64_t (*integer)(int64_t a, int64_t b) = nullptr;
  uint64_t (*natural)(uint64_t a, uint64_t b) = nullptr;
};

int64_t wrap(uint64_t value) { return static_cast<int64_t>(value); }
uint64_t raw(int64_t value) { return static_cast<uint64_t>(value); }

// Division by zero has no result that ONNX defines; it must not trap.
int64_t divide(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return b == -1 ? wrap(-raw(a)) : a / b;
}
int64_t remainder(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
int64_t floor_mod(int64_t a, int64_t b) {
  const int64_t rest = remainder(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}
double floor_mod(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

// clang-format off
constexpr BinaryFunction kBinaryFunctions[] = {
    {"Add", BinaryOp::add, [](double a, double b) { return a + b; },
     [](int64_t a, int64_t b) { return wrap(raw(a) + raw(b)); },
     [](uint64_t a, uint64_t b) { return a + b; }},
    {"BitwiseAnd", {}, nullptr, [](int64_t a, int64_t b) { return a & b; },
     [](uint64_t a, uint64_t b) { return a & b; }},
    {"BitwiseOr", {}, nullptr, [](int64_t a, int64_t b) { return a | b; },
     [](uint64_t a, uint64_t b) { return a | b; }},
    {"BitwiseXor", {}, nullptr, [](int64_t a, int64_t b) { return a ^ b; },
     [](uint64_t a, uint64_t b) { return a ^ b; }},
    {"Div", BinaryOp::div, [](double a, double b) { return a / b; }, divide,
     [](uint64_t a, uint64_t b) { return b == 0 ? 0 : a / b; }},
    {"Mod", {}, floor_mod, floor_mod, [](uint64_t a, uint64_t b) { return b == 0 ? 0 : a % b; }},
    {"Mul", BinaryOp::mul, [](double a, double b) { return a * b; },
     [](int64_t a, int64_t b) { return wrap(raw(a) * raw(b)); },
     [](uint64_t a, uint64_t b) { return a * b; }},
    {"PRelu", {}, [](double a, double b) { return a < 0 ? a * b : a; },
     [](int64_t a, int64_t b) { return a < 0 ? wrap(raw(a) * raw(b)) : a; },
     [](uint64_t a, uint64_t) { return a; }},
    {"Sub", BinaryOp::sub, [](double a, double b) { return a - b; },
     [](int64_t a, int64_t b) { return wrap(raw(a) - raw(b)); },
     [](uint64_t a, uint64_t b) { return a - b; }},
};
// clang-format on

BinaryFunction function_of_binary(const ir::Node& node) {
  const auto* row = std::find_if(std::begin(kBinaryFunctions), std::end(kBinaryFunctions),
                                 [&](const BinaryFunction& f) { return f.name == node.op_type(); });
  TERCEL_CHECK(row != std::end(kBinaryFunctions));
  BinaryFunction function = *row;
  if (node.is("Mod") && node.int_or("fmod", 0) != 0) {
    function.real = [](double a, double b) { return std::fmod(a, b); };
    function.integer = remainder;
  }
  return function;
}

class BinaryVectorKernel final : public CpuKernel {
 public:
  explicit BinaryVectorKernel(const KernelContext& context)
      : op_(*function_of_binary(context.node).vector),
        kernels_(kernels::cpu_kernels(context.isa)) {}

  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    broadcast_f32(kernels_, op_, run.inputs[0], run.inputs[1], run.outputs[0], run.pool);
  }

 private:
  BinaryOp op_;
  const kernels::CpuKernels& kernels_;
};

class BinaryGenericKernel final : public CpuKernel {
 public:
  explicit BinaryGenericKernel(const KernelContext& context)
      : function_(function_of_binary(context.node)) {}

  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    dispatch_dtype(NumericTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto function = pick<T>();
      map_binary<T, T, T>(run.inputs[0], run.inputs[1], run.outputs[0], run.pool,
                          [function](auto a, auto b) {
                            using Wide = WideType<T>;
                            return static_cast<ComputeType<T>>(
                                function(static_cast<Wide>(a), static_cast<Wide>(b)));
                          });
    });
  }

 private:
  template <class T>
  auto pick() const {
    if constexpr (std::is_same_v<WideType<T>, double>)
      return function_.real;
    else if constexpr (std::is_same_v<WideType<T>, int64_t>)
      return function_.integer;
    else
      return function_.natural;
  }
  BinaryFunction function_;
};

// The shift's fill depends on the width of the element, which the wide functions do not know.
class ShiftKernel final : public CpuKernel {
 public:
  explicit ShiftKernel(const KernelContext& context)
      : left_(context.node.string_or("direction", "") == "LEFT") {}

  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    dispatch_dtype(IntegerTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      map_binary<T, T, T>(run.inputs[0], run.inputs[1], run.outputs[0], run.pool,
                          [left = left_](T x, T by) { return left ? up(x, by) : down(x, by); });
    });
  }

 private:
  template <class T>
  static bool outside(T by) {
    return by < 0 || static_cast<uint64_t>(by) >= 8 * sizeof(T);
  }
  template <class T>
  static T up(T x, T by) {
    return outside(by) ? T{0} : static_cast<T>(static_cast<uint64_t>(x) << by);
  }
  template <class T>
  static T down(T x, T by) {
    if (outside(by)) return x < 0 ? static_cast<T>(-1) : T{0};
    return static_cast<T>(x >> by);
  }
  bool left_;
};

std::string refuse_f32_binary(const KernelContext& context) {
  if (!function_of_binary(context.node).vector) return "has no vector form of the operator";
  return refuse_unless_f32(context);
}
std::string refuse_generic_binary(const KernelContext& context) {
  const BinaryFunction function = function_of_binary(context.node);
  const Dtype dtype = context.input_dtype(0);
  if (function.real != nullptr && contains(FloatTypes{}, dtype)) return {};
  if (function.integer != nullptr && contains(IntegerTypes{}, dtype)) return {};
  return fmt::format("the operator takes no {}", to_string(dtype));
}

template <class Kernel>
std::unique_ptr<CpuKernel> create_binary(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kBinaryImplementations[] = {
    {"elementwise_f32", refuse_f32_binary, create_binary<BinaryVectorKernel>},
    {"elementwise_generic", refuse_generic_binary, create_binary<BinaryGenericKernel>}};
constexpr CpuImplementation kShift[] = {
    {"elementwise_shift", refuse_input0<IntegerTypes>, create_binary<ShiftKernel>}};

}  // namespace

CpuFamily elementwise_binary_cpu_ops() {
  static const std::vector<CpuOp> ops = [] {
    std::vector<CpuOp> rows;
    for (const BinaryFunction& function : kBinaryFunctions)
      rows.push_back({"", function.name, kBinaryImplementations});
    rows.push_back({"", "BitShift", kShift});
    return rows;
  }();
  return ops;
}

}  // namespace tercel::ops
