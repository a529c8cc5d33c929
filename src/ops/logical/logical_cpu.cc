#include <algorithm>
#include <cmath>

#include "src/ops/cpu_tables.h"
#include "src/ops/cpu_text.h"
#include "src/ops/cpu_util.h"

namespace tercel::ops {
namespace {

// A comparison for all element types, by kinds of numbers; booleans are natural ones.
struct Comparison {
  std::string_view name;
  bool (*real)(double a, double b);
  bool (*integer)(int64_t a, int64_t b);
  bool (*natural)(uint64_t a, uint64_t b);
};

template <class Compare>
constexpr Comparison comparison(std::string_view name, Compare) {
  return {name, [](double a, double b) { return Compare{}(a, b); },
          [](int64_t a, int64_t b) { return Compare{}(a, b); },
          [](uint64_t a, uint64_t b) { return Compare{}(a, b); }};
}

constexpr Comparison kComparisons[] = {
    comparison("And", std::logical_and<>{}), comparison("Equal", std::equal_to<>{}),
    comparison("Greater", std::greater<>{}), comparison("GreaterOrEqual", std::greater_equal<>{}),
    comparison("Less", std::less<>{}),       comparison("LessOrEqual", std::less_equal<>{}),
    comparison("Or", std::logical_or<>{}),   comparison("Xor", std::not_equal_to<>{}),
};

class ComparisonKernel final : public CpuKernel {
 public:
  explicit ComparisonKernel(const KernelContext& context)
      : comparison_(
            *std::find_if(std::begin(kComparisons), std::end(kComparisons),
                          [&](const Comparison& c) { return c.name == context.node.op_type(); })) {}

  void run(const KernelRun& run) const override {
    dispatch_dtype(run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto compare = pick<T>();
      map_binary<T, T, bool>(run.inputs[0], run.inputs[1], run.outputs[0], run.pool,
                             [compare](auto a, auto b) {
                               using Wide = WideType<T>;
                               return compare(static_cast<Wide>(a), static_cast<Wide>(b));
                             });
    });
  }

 private:
  template <class T>
  auto pick() const {
    if constexpr (std::is_same_v<WideType<T>, double>)
      return comparison_.real;
    else if constexpr (std::is_same_v<WideType<T>, int64_t>)
      return comparison_.integer;
    else
      return comparison_.natural;
  }
  Comparison comparison_;
};

class EqualStringsKernel final : public TextKernel {
 public:
  void run(const KernelRun& run) const override {
    const auto a = run.inputs[0].strings();
    const auto b = run.inputs[1].strings();
    const auto out = run.outputs[0].values<bool>();
    const BroadcastLoop loop =
        broadcast_loop(run.outputs[0].shape(), {&run.inputs[0].shape(), &run.inputs[1].shape()});
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto at = loop.locate(static_cast<int64_t>(i));
      out[i] = a[static_cast<std::size_t>(at[0])] == b[static_cast<std::size_t>(at[1])];
    }
  }
};

class NotKernel final : public CpuKernel {
 public:
  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    map_unary<bool, bool>(run.inputs[0], run.outputs[0], run.pool, [](bool x) { return !x; });
  }
};

class IsNanKernel final : public CpuKernel {
 public:
  void run(const KernelRun& run) const override {
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      map_unary<T, bool>(run.inputs[0], run.outputs[0], run.pool,
                         [](auto x) { return std::isnan(x); });
    });
  }
};

class IsInfKernel final : public CpuKernel {
 public:
  explicit IsInfKernel(const KernelContext& context)
      : negative_(context.node.int_or("detect_negative", 1) != 0),
        positive_(context.node.int_or("detect_positive", 1) != 0) {}

  void run(const KernelRun& run) const override {
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      map_unary<T, bool>(run.inputs[0], run.outputs[0], run.pool, [this](auto x) {
        return std::isinf(x) && (x < 0 ? negative_ : positive_);
      });
    });
  }

 private:
  bool negative_;
  bool positive_;
};

std::string refuse_strings(const KernelContext& context) {
  return refuse_dtype(std::array{Dtype::string}, context.input_dtype(0));
}

template <class Kernel>
std::unique_ptr<CpuKernel> create_logical(const KernelContext& context) {
  if constexpr (std::is_constructible_v<Kernel, const KernelContext&>)
    return std::make_unique<Kernel>(context);
  else
    return std::make_unique<Kernel>();
}

constexpr CpuImplementation kBoolean[] = {
    {"elementwise_generic", refuse_input0<BooleanTypes>, create_logical<ComparisonKernel>}};
constexpr CpuImplementation kOrder[] = {
    {"elementwise_generic", refuse_input0<NumericTypes>, create_logical<ComparisonKernel>}};
constexpr CpuImplementation kEqual[] = {
    {"elementwise_generic", refuse_input0<AllTypes>, create_logical<ComparisonKernel>},
    {"equal_strings", refuse_strings, create_logical<EqualStringsKernel>}};
constexpr CpuImplementation kNot[] = {
    {"elementwise_generic", refuse_input0<BooleanTypes>, create_logical<NotKernel>}};
constexpr CpuImplementation kIsNan[] = {
    {"elementwise_generic", refuse_input0<FloatTypes>, create_logical<IsNanKernel>}};
constexpr CpuImplementation kIsInf[] = {
    {"elementwise_generic", refuse_input0<FloatTypes>, create_logical<IsInfKernel>}};

constexpr CpuOp kLogicalOps[] = {
    {"", "And", kBoolean},          {"", "Equal", kEqual},       {"", "Greater", kOrder},
    {"", "GreaterOrEqual", kOrder}, {"", "IsInf", kIsInf},       {"", "IsNaN", kIsNan},
    {"", "Less", kOrder},           {"", "LessOrEqual", kOrder}, {"", "Not", kNot},
    {"", "Or", kBoolean},           {"", "Xor", kBoolean}};

}  // namespace

CpuFamily logical_cpu_ops() { return kLogicalOps; }

}  // namespace tercel::ops
