#include <algorithm>
#include <numeric>

#include "src/ops/cpu_util.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

// NaN counts as the greatest value, as numpy sorts it.
template <class T>
bool less(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (a != a) return false;
    if (b != b) return true;
  }
  return a < b;
}

class TopKKernel final : public CpuKernel {
 public:
  explicit TopKKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", -1)), largest_(context.node.int_or("largest", 1) != 0) {}

  bool allocates_outputs() const override { return true; }

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    const int64_t k = integer_value(run.inputs[1]);
    const AxisView view = view_axis(x.shape(), axis_);
    if (k < 0 || k > view.axis)
      fail(Errc::invalid_argument, "[TopK] K is {}; the axis has {} elements", k, view.axis);
    Shape shape = x.shape();
    shape[static_cast<std::size_t>(axis_ < 0 ? axis_ + x.rank() : axis_)] = k;
    run.outputs[0] = allocate_tensor(x.dtype(), shape, run.memory, "TopK");
    run.outputs[1] = allocate_tensor(Dtype::i64, shape, run.memory, "TopK");
    dispatch_dtype(NumericTypes{}, x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      run.pool.parallel_for(view.outer * view.inner, rows_per_grain(8 * view.axis),
                            [&](int64_t begin, int64_t end) {
                              std::vector<int64_t> order(static_cast<std::size_t>(view.axis));
                              for (int64_t i = begin; i < end; ++i)
                                select<T>(run, view, k, i, order);
                            });
    });
  }

 private:
  template <class T>
  void select(const KernelRun& run, const AxisView& view, int64_t k, int64_t line,
              std::vector<int64_t>& order) const {
    const int64_t outer = line / view.inner;
    const int64_t inner = line % view.inner;
    const T* x = elements<T>(run.inputs[0]) + outer * view.axis * view.inner + inner;
    const auto better = [&](int64_t a, int64_t b) {
      const auto p = load(x[a * view.inner]);
      const auto q = load(x[b * view.inner]);
      if (largest_ ? less(q, p) : less(p, q)) return true;
      if (largest_ ? less(p, q) : less(q, p)) return false;
      return a < b;
    };
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + k, order.end(), better);
    const int64_t to = outer * k * view.inner + inner;
    for (int64_t j = 0; j < k; ++j) {
      const int64_t from = order[static_cast<std::size_t>(j)];
      elements<T>(run.outputs[0])[to + j * view.inner] = x[from * view.inner];
      elements<int64_t>(run.outputs[1])[to + j * view.inner] = from;
    }
  }

  int64_t axis_;
  bool largest_;
};

std::unique_ptr<CpuKernel> create_top_k(const KernelContext& context) {
  return std::make_unique<TopKKernel>(context);
}

constexpr CpuImplementation kTopKImplementations[] = {
    {"partial_sort", refuse_input0<NumericTypes>, create_top_k}};
constexpr CpuOp kTopKOps[] = {{"", "TopK", kTopKImplementations}};

}  // namespace

CpuFamily top_k_cpu_ops() { return kTopKOps; }

}  // namespace tercel::ops
