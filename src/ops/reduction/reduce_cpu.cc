#include <algorithm>
#include <cmath>
#include <limits>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"
#include "src/ops/reduction/reduction_cpu.h"

namespace tercel::ops {
namespace {

using kernels::ReduceOp;

// How an operator folds elements, by kinds of numbers: enter each element, combine, leave with the
// number of elements.
struct ReduceFunction {
  std::string_view name;
  std::optional<ReduceOp> vector;
  bool log = false;  // of the vector kernel's result
  enum class Kind { sum, mean, max, min, prod, sum_square, l1, l2, log_sum, log_sum_exp } kind;
};
using Kind = ReduceFunction::Kind;

constexpr ReduceFunction kReduceFunctions[] = {
    {"ReduceL1", ReduceOp::l1, false, Kind::l1},
    {"ReduceL2", ReduceOp::l2, false, Kind::l2},
    {"ReduceLogSum", ReduceOp::sum, true, Kind::log_sum},
    {"ReduceLogSumExp", {}, false, Kind::log_sum_exp},
    {"ReduceMax", ReduceOp::max, false, Kind::max},
    {"ReduceMean", ReduceOp::mean, false, Kind::mean},
    {"ReduceMin", ReduceOp::min, false, Kind::min},
    {"ReduceProd", ReduceOp::prod, false, Kind::prod},
    {"ReduceSum", ReduceOp::sum, false, Kind::sum},
    {"ReduceSumSquare", ReduceOp::sum_square, false, Kind::sum_square},
};

const ReduceFunction& function_of_reduce(const ir::Node& node) {
  const auto* row = std::find_if(std::begin(kReduceFunctions), std::end(kReduceFunctions),
                                 [&](const ReduceFunction& f) { return f.name == node.op_type(); });
  TERCEL_CHECK(row != std::end(kReduceFunctions));
  return *row;
}

// The elements of a shape apart: those that stay and those that are folded, each a loop with the
// input's strides as operand 0.
struct Split {
  BroadcastLoop kept, folded;
};

void append_reduce(BroadcastLoop& loop, int64_t size, int64_t stride) {
  loop.size *= size;
  if (size == 1) return;
  if (loop.rank > 0) {
    const auto last = static_cast<std::size_t>(loop.rank) - 1;
    if (loop.strides[0][last] == size * stride) {
      loop.dims[last] *= size;
      loop.strides[0][last] = stride;
      return;
    }
  }
  if (loop.rank == BroadcastLoop::kMaxDims)
    fail(Errc::unsupported, "reducing over more than {} dimensions is not supported",
         BroadcastLoop::kMaxDims);
  const auto at = static_cast<std::size_t>(loop.rank++);
  loop.dims[at] = size;
  loop.strides[0][at] = stride;
}

Split split(const Shape& shape, const std::vector<bool>& reduced) {
  Split result;
  result.kept.rank = result.folded.rank = 0;
  std::vector<int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  for (std::size_t i = 0; i < shape.size(); ++i)
    append_reduce(reduced[i] ? result.folded : result.kept, shape[i], strides[i]);
  for (BroadcastLoop* loop : {&result.kept, &result.folded}) {
    loop->operands = 1;
    if (loop->rank > 0) continue;
    loop->rank = 1;
    loop->dims[0] = 1;
  }
  return result;
}

class ReduceKernel : public CpuKernel {
 public:
  explicit ReduceKernel(const KernelContext& context)
      : function_(function_of_reduce(context.node)),
        noop_(context.node.int_or("noop_with_empty_axes", 0) != 0),
        label_(context.node.label()) {}

  void run(const KernelRun& run) const override {
    const Split parts = split(run.inputs[0].shape(), reduced(run));
    dispatch_dtype(run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      run.pool.parallel_for(parts.kept.size, rows_per_grain(parts.folded.size),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; ++i)
                                y[i] = fold(x + parts.kept.locate(i)[0], parts.folded);
                            });
    });
  }

 protected:
  const ReduceFunction& function() const { return function_; }

  std::vector<bool> reduced(const KernelRun& run) const {
    const auto rank = static_cast<int64_t>(run.inputs[0].shape().size());
    const bool given = run.inputs.size() > 1 && run.inputs[1].defined();
    const auto axes = given ? integer_values(run.inputs[1]) : std::vector<int64_t>();
    std::vector<bool> result(static_cast<std::size_t>(rank), axes.empty() && !noop_);
    for (const int64_t axis : axes) {
      if (axis < -rank || axis >= rank)
        fail(Errc::invalid_argument, "{} axis {} is out of range for rank {}", label_, axis, rank);
      result[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = true;
    }
    return result;
  }

 private:
  // Calls body(element) for each folded element, widened.
  template <class T, class Body>
  static void visit(const T* x, const BroadcastLoop& loop, Body body) {
    const int64_t inner = loop.inner();
    for (int64_t i = 0; i < loop.size; i += inner) {
      const T* line = x + loop.locate(i)[0];
      for (int64_t j = 0; j < inner; ++j) body(widen(line[j * loop.step(0)]));
    }
  }

  template <class T>
  T fold(const T* x, const BroadcastLoop& loop) const {
    using Wide = WideType<T>;
    // Integers wrap around in the unsigned type.
    using Sum = std::conditional_t<std::is_floating_point_v<Wide>, double, uint64_t>;
    Sum sum{};
    const auto add = [&](auto term) {
      visit(x, loop, [&](Wide v) { sum += static_cast<Sum>(term(v)); });
    };
    switch (function_.kind) {
      case Kind::max:
      case Kind::min:
        return extreme(x, loop);
      case Kind::prod:
        sum = 1;
        visit(x, loop, [&](Wide v) { sum *= static_cast<Sum>(v); });
        break;
      case Kind::l1:
        add([](Wide v) { return v < 0 ? -static_cast<Sum>(v) : static_cast<Sum>(v); });
        break;
      case Kind::sum_square:
      case Kind::l2:
        add([](Wide v) { return static_cast<Sum>(v) * static_cast<Sum>(v); });
        break;
      case Kind::log_sum_exp:
        return log_sum_exp(x, loop);
      default:
        add([](Wide v) { return v; });
    }
    return finish<T>(static_cast<Wide>(sum), loop.size);
  }

  template <class T>
  T finish(WideType<T> sum, int64_t count) const {
    using Wide = WideType<T>;
    if (function_.kind == Kind::mean) {
      if constexpr (std::is_floating_point_v<Wide>)
        sum /= static_cast<double>(count);
      else
        sum = count == 0 ? Wide{} : sum / static_cast<Wide>(count);
    }
    if (function_.kind == Kind::l2) sum = static_cast<Wide>(std::sqrt(static_cast<double>(sum)));
    if (function_.kind == Kind::log_sum)
      sum = static_cast<Wide>(std::log(static_cast<double>(sum)));
    return narrow<T>(sum);
  }

  template <class T>
  T extreme(const T* x, const BroadcastLoop& loop) const {
    using Limits = std::numeric_limits<ComputeType<T>>;
    const bool max = function_.kind == Kind::max;
    WideType<T> best = max ? Limits::lowest() : Limits::max();
    if constexpr (Limits::has_infinity) best = max ? -Limits::infinity() : Limits::infinity();
    visit(x, loop, [&](auto v) {
      if constexpr (std::is_floating_point_v<decltype(v)>) {
        if (std::isnan(best) || std::isnan(v)) {
          best += v;
          return;
        }
      }
      if (max ? v > best : v < best) best = v;
    });
    return narrow<T>(best);
  }

  template <class T>
  T log_sum_exp(const T* x, const BroadcastLoop& loop) const {
    double max = -INFINITY;
    visit(x, loop, [&](auto v) { max = std::fmax(max, static_cast<double>(v)); });
    if (!std::isfinite(max)) max = 0;
    double sum = 0;
    visit(x, loop, [&](auto v) { sum += std::exp(static_cast<double>(v) - max); });
    return narrow<T>(static_cast<WideType<T>>(std::log(sum) + max));
  }

  const ReduceFunction& function_;
  bool noop_;
  std::string label_;
};

// Neighbouring axes of an f32 tensor are one axis to the vector kernel.
class ReduceVectorKernel final : public ReduceKernel {
 public:
  explicit ReduceVectorKernel(const KernelContext& context)
      : ReduceKernel(context), kernels_(kernels::cpu_kernels(context.isa)) {}

  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    const std::vector<bool> folded = reduced(run);
    AxisView view;
    int changes = 0;  // kept, folded, kept
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (shape[i] == 1) continue;
      if (folded[i] != (changes == 1)) ++changes;
      (changes == 0 ? view.outer : changes == 1 ? view.axis : view.inner) *= shape[i];
    }
    if (changes > 2) {
      ReduceKernel::run(run);
      return;
    }
    auto* y = elements<float>(run.outputs[0]);
    kernels_.reduce.reduce({.op = *function().vector,
                            .outer = view.outer,
                            .axis = view.axis,
                            .inner = view.inner,
                            .x = elements<float>(run.inputs[0]),
                            .y = y},
                           run.pool);
    if (function().log) {
      kernels_.elementwise.unary(
          {.op = kernels::UnaryOp::log, .count = run.outputs[0].size(), .x = y, .y = y}, run.pool);
    }
  }

 private:
  const kernels::CpuKernels& kernels_;
};

std::string refuse_f32_reduce(const KernelContext& context) {
  if (!function_of_reduce(context.node).vector) return "has no vector form of the operator";
  return refuse_unless_f32(context);
}
std::string refuse_generic_reduce(const KernelContext& context) {
  const Kind kind = function_of_reduce(context.node).kind;
  if (kind == Kind::max || kind == Kind::min) return refuse_input0<AllTypes>(context);
  if (kind == Kind::log_sum || kind == Kind::log_sum_exp) return refuse_input0<FloatTypes>(context);
  return refuse_input0<NumericTypes>(context);
}

template <class Kernel>
std::unique_ptr<CpuKernel> create_reduce(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kReduceImplementations[] = {
    {"reduce_f32", refuse_f32_reduce, create_reduce<ReduceVectorKernel>},
    {"reduce_generic", refuse_generic_reduce, create_reduce<ReduceKernel>}};

}  // namespace

CpuFamily reduce_cpu_ops() {
  static const std::vector<CpuOp> ops = [] {
    std::vector<CpuOp> rows;
    for (const ReduceFunction& function : kReduceFunctions)
      rows.push_back({"", function.name, kReduceImplementations});
    return rows;
  }();
  return ops;
}

}  // namespace tercel::ops
