#include <cmath>
#include <numeric>

#include "src/ops/cpu_text.h"
#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

// NaN counts as the greatest value, and as one value.
template <class T>
int compare(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return int{std::isnan(a)} - int{std::isnan(b)};
  }
  return a < b ? -1 : b < a ? 1 : 0;
}

// The slices of the input along an axis, compared element by element.
template <class T>
struct Slices {
  const T* data;
  AxisView view;

  int order(int64_t a, int64_t b) const {
    for (int64_t o = 0; o < view.outer; ++o) {
      const T* x = data + (o * view.axis + a) * view.inner;
      const T* y = data + (o * view.axis + b) * view.inner;
      for (int64_t i = 0; i < view.inner; ++i) {
        if (const int result = compare_elements(x[i], y[i]); result != 0) return result;
      }
    }
    return 0;
  }
  static int compare_elements(const T& a, const T& b) {
    if constexpr (std::is_same_v<T, std::string>)
      return compare(a, b);
    else
      return compare(load(a), load(b));
  }
};

// The unique slices: where each comes first, how often, and which one each slice is.
struct Found {
  std::vector<int64_t> first, counts, inverse;
};

template <class T>
Found find(const Slices<T>& slices, bool sorted) {
  std::vector<int64_t> order(static_cast<std::size_t>(slices.view.axis));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return slices.order(a, b) < 0; });
  Found found;
  found.inverse.resize(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || slices.order(order[i - 1], order[i]) != 0) {
      found.first.push_back(order[i]);
      found.counts.push_back(0);
    }
    ++found.counts.back();
    found.inverse[static_cast<std::size_t>(order[i])] =
        static_cast<int64_t>(found.first.size()) - 1;
  }
  if (sorted) return found;
  std::vector<std::size_t> by_place(found.first.size());
  std::iota(by_place.begin(), by_place.end(), 0);
  std::sort(by_place.begin(), by_place.end(),
            [&](std::size_t a, std::size_t b) { return found.first[a] < found.first[b]; });
  Found placed;
  std::vector<int64_t> moved(by_place.size());
  for (const std::size_t from : by_place) {
    moved[from] = static_cast<int64_t>(placed.first.size());
    placed.first.push_back(found.first[from]);
    placed.counts.push_back(found.counts[from]);
  }
  for (const int64_t group : found.inverse)
    placed.inverse.push_back(moved[static_cast<std::size_t>(group)]);
  return placed;
}

class UniqueKernel final : public TextKernel {
 public:
  explicit UniqueKernel(const KernelContext& context)
      : flat_(!context.node.has_attribute("axis")),
        axis_(context.node.int_or("axis", 0)),
        sorted_(context.node.int_or("sorted", 1) != 0) {}

  bool allocates_outputs() const override { return true; }
  void run(const KernelRun& run) const override {
    if (run.inputs[0].dtype() == Dtype::string)
      find_and_keep<std::string>(run);
    else
      dispatch_dtype(run.inputs[0].dtype(),
                     [&](auto tag) { find_and_keep<typename decltype(tag)::type>(run); });
  }

 private:
  template <class T>
  void find_and_keep(const KernelRun& run) const {
    const Tensor& in = run.inputs[0];
    const AxisView view = flat_ ? AxisView{1, in.size(), 1} : view_axis(in.shape(), axis_);
    const Found found = find(Slices<T>{elements<T>(in), view}, sorted_);
    Shape shape{static_cast<int64_t>(found.first.size())};
    if (!flat_) {
      shape = in.shape();
      shape[static_cast<std::size_t>(axis_ < 0 ? axis_ + in.rank() : axis_)] =
          static_cast<int64_t>(found.first.size());
    }
    run.outputs[0] = allocate_tensor(in.dtype(), shape, run.memory, "Unique");
    T* to = elements<T>(run.outputs[0]);
    for (int64_t outer = 0; outer < view.outer; ++outer) {
      for (const int64_t i : found.first)
        to = std::copy_n(elements<T>(in) + (outer * view.axis + i) * view.inner, view.inner, to);
    }
    run.outputs[0] = counted(run.outputs[0], run.memory, "Unique");
    keep(run, 1, found.first);
    keep(run, 2, found.inverse);
    keep(run, 3, found.counts);
  }

  static void keep(const KernelRun& run, std::size_t index, const std::vector<int64_t>& values) {
    if (index >= run.outputs.size()) return;
    run.outputs[index] =
        allocate_tensor(Dtype::i64, {static_cast<int64_t>(values.size())}, run.memory, "Unique");
    std::copy(values.begin(), values.end(), elements<int64_t>(run.outputs[index]));
  }

  bool flat_;
  int64_t axis_;
  bool sorted_;
};

std::string refuse_unique(const KernelContext& context) {
  if (context.input_dtype(0) == Dtype::string) return {};
  return refuse_dtype(AllTypes{}, context.input_dtype(0));
}

}  // namespace

const CpuImplementation kUniqueCpu[1] = {{"unique", refuse_unique, create_kernel<UniqueKernel>}};

}  // namespace tercel::ops
