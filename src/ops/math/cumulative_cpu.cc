#include "src/ops/cpu_util.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

using SumTypes = decltype(FloatTypes{} + Types<int32_t, int64_t, uint32_t, uint64_t>{});

class CumulativeKernel final : public CpuKernel {
 public:
  explicit CumulativeKernel(const KernelContext& context)
      : product_(context.node.is("CumProd")),
        exclusive_(context.node.int_or("exclusive", 0) != 0),
        reverse_(context.node.int_or("reverse", 0) != 0),
        label_(context.node.label()) {}

  void run(const KernelRun& run) const override {
    const int64_t axis = integer_value(run.inputs[1]);
    const int64_t rank = run.inputs[0].rank();
    if (axis < -rank || axis >= rank) {
      fail(Errc::invalid_argument, "{} axis {} is out of range for rank {}", label_, axis, rank);
    }
    const AxisView view = view_axis(run.inputs[0].shape(), axis);
    dispatch_dtype(SumTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      run.pool.parallel_for(
          view.outer * view.inner, rows_per_grain(view.axis), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const int64_t start = i / view.inner * view.axis * view.inner + i % view.inner;
              run_line(x + start, y + start, view.axis, view.inner);
            }
          });
    });
  }

 private:
  template <class T>
  static ComputeType<T> sum(ComputeType<T> a, ComputeType<T> b) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    else
      return a + b;
  }
  template <class T>
  static ComputeType<T> product(ComputeType<T> a, ComputeType<T> b) {
    if constexpr (std::is_integral_v<T>)
      return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    else
      return a * b;
  }

  template <class T>
  void run_line(const T* x, T* y, int64_t count, int64_t stride) const {
    auto result = static_cast<ComputeType<T>>(product_ ? 1 : 0);
    for (int64_t j = 0; j < count; ++j) {
      const int64_t at = (reverse_ ? count - 1 - j : j) * stride;
      const ComputeType<T> value = load(x[at]);
      if (exclusive_) y[at] = store<T>(result);
      result = product_ ? product<T>(result, value) : sum<T>(result, value);
      if (!exclusive_) y[at] = store<T>(result);
    }
  }

  bool product_;
  bool exclusive_;
  bool reverse_;
  std::string label_;
};

constexpr CpuImplementation kCumulativeImplementations[] = {
    {"cumulative", refuse_input0<SumTypes>, create_kernel<CumulativeKernel>}};
constexpr CpuOp kCumulativeOps[] = {{"", "CumProd", kCumulativeImplementations},
                                    {"", "CumSum", kCumulativeImplementations}};

}  // namespace

CpuFamily cumulative_cpu_ops() { return kCumulativeOps; }

}  // namespace tercel::ops
