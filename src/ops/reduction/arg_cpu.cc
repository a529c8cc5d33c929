#include <cmath>

#include "src/ops/cpu_util.h"
#include "src/ops/reduction/reduction_cpu.h"

namespace tercel::ops {
namespace {

class ArgKernel final : public CpuKernel {
 public:
  explicit ArgKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", 0)),
        max_(context.node.is("ArgMax")),
        last_(context.node.int_or("select_last_index", 0) != 0) {}

  void run(const KernelRun& run) const override {
    const AxisView view = view_axis(run.inputs[0].shape(), axis_);
    auto* out = elements<int64_t>(run.outputs[0]);
    dispatch_dtype(NumericTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      run.pool.parallel_for(
          view.outer * view.inner, rows_per_grain(view.axis), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const int64_t start = i / view.inner * view.axis * view.inner + i % view.inner;
              out[i] = best(x + start, view.axis, view.inner);
            }
          });
    });
  }

 private:
  template <class T>
  int64_t best(const T* x, int64_t count, int64_t stride) const {
    int64_t index = 0;
    auto value = widen(x[0]);
    for (int64_t i = 1; i < count; ++i) {
      const auto next = widen(x[i * stride]);
      if (better(next, value) || (last_ && next == value)) {
        index = i;
        value = next;
      }
    }
    return index;
  }
  // The first NaN is the answer, as in numpy.
  template <class Wide>
  bool better(Wide a, Wide b) const {
    if constexpr (std::is_floating_point_v<Wide>) {
      if (std::isnan(a) || std::isnan(b)) return !std::isnan(b);
    }
    return max_ ? a > b : a < b;
  }

  int64_t axis_;
  bool max_;
  bool last_;
};

std::unique_ptr<CpuKernel> create_arg(const KernelContext& context) {
  return std::make_unique<ArgKernel>(context);
}

constexpr CpuImplementation kArgImplementations[] = {
    {"arg_generic", refuse_input0<NumericTypes>, create_arg}};
constexpr CpuOp kArgOps[] = {{"", "ArgMax", kArgImplementations},
                             {"", "ArgMin", kArgImplementations}};

}  // namespace

CpuFamily arg_cpu_ops() { return kArgOps; }

}  // namespace tercel::ops
