#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

enum class Reduction { none, add, mul, max, min };

Reduction reduction_of(const ir::Node& node) {
  const std::string name = node.string_or("reduction", "none");
  if (name == "add") return Reduction::add;
  if (name == "mul") return Reduction::mul;
  if (name == "max") return Reduction::max;
  return name == "min" ? Reduction::min : Reduction::none;
}

template <class T>
T reduced(T old, T update, Reduction reduction) {
  const auto a = load(old);
  const auto b = load(update);
  switch (reduction) {
    case Reduction::add:
      return store<T>(static_cast<ComputeType<T>>(a + b));
    case Reduction::mul:
      return store<T>(static_cast<ComputeType<T>>(a * b));
    case Reduction::max:
      return a < b || b != b ? update : old;
    case Reduction::min:
      return b < a || b != b ? update : old;
    case Reduction::none:
      break;
  }
  return update;
}

// Writes rows of `row` updates to the places that place(i) names, in order: an index that comes
// twice gives the same result at every run.
template <class Place>
void scatter(const Tensor& updates, int64_t count, int64_t row, Reduction reduction, Tensor& out,
             Place place) {
  if (reduction == Reduction::none) {
    dispatch_element(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < count; ++i)
        std::copy_n(elements<T>(updates) + i * row, row, elements<T>(out) + place(i));
    });
    return;
  }
  dispatch_dtype(NumericTypes{}, out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* from = elements<T>(updates);
    for (int64_t i = 0; i < count; ++i) {
      T* to = elements<T>(out) + place(i);
      for (int64_t j = 0; j < row; ++j) to[j] = reduced(to[j], from[i * row + j], reduction);
    }
  });
}

class ScatterElementsKernel final : public CpuKernel {
 public:
  explicit ScatterElementsKernel(const KernelContext& context)
      : label_(context.node.label()),
        reduction_(reduction_of(context.node)),
        axis_(context.node.int_or("axis", 0)) {}
  void run(const KernelRun& run) const override {
    const Tensor& data = run.inputs[0];
    const Shape& shape = run.inputs[1].shape();
    const auto indices = integer_values(run.inputs[1]);
    const auto axis = static_cast<std::size_t>(axis_ < 0 ? axis_ + data.rank() : axis_);
    for (std::size_t d = 0; d < shape.size(); ++d) {
      if (d != axis && shape[d] > data.shape()[d]) {
        fail(Errc::invalid_argument, "{} indices of shape {} reach beyond data of shape {}", label_,
             to_string(shape), to_string(data.shape()));
      }
    }
    copy_all(data, run.outputs[0], run.pool);
    const std::vector<int64_t> strides = row_major(data.shape());
    const auto place = [&](int64_t i) {
      int64_t at = 0;
      int64_t rest = i;
      for (std::size_t d = shape.size(); d-- > 0;) {
        const int64_t position =
            d == axis ? checked_index(indices[static_cast<std::size_t>(i)], data.shape()[d], label_)
                      : rest % shape[d];
        at += position * strides[d];
        rest /= shape[d];
      }
      return at;
    };
    scatter(run.inputs[2], run.inputs[2].size(), 1, reduction_, run.outputs[0], place);
  }
  bool in_place(int input) const override { return input == 0; }

 private:
  std::string label_;
  Reduction reduction_;
  int64_t axis_;
};

class ScatterNdKernel final : public CpuKernel {
 public:
  explicit ScatterNdKernel(const KernelContext& context)
      : label_(context.node.label()), reduction_(reduction_of(context.node)) {}
  void run(const KernelRun& run) const override {
    const Tensor& data = run.inputs[0];
    const Tensor& targets = run.inputs[1];
    const auto indices = integer_values(targets);
    const auto depth = static_cast<int>(targets.shape().back());
    const int64_t row = product(data.shape(), depth, data.rank());
    const std::vector<int64_t> strides = row_major(data.shape());
    copy_all(data, run.outputs[0], run.pool);
    const auto place = [&](int64_t i) {
      int64_t at = 0;
      for (int d = 0; d < depth; ++d) {
        const auto axis = static_cast<std::size_t>(d);
        const int64_t index = indices[static_cast<std::size_t>(i * depth + d)];
        at += checked_index(index, data.shape()[axis], label_) * strides[axis];
      }
      return at;
    };
    const int64_t count = product(targets.shape(), 0, targets.rank() - 1);
    scatter(run.inputs[2], count, row, reduction_, run.outputs[0], place);
  }
  bool in_place(int input) const override { return input == 0; }

 private:
  std::string label_;
  Reduction reduction_;
};

std::string refuse_scatter(const KernelContext& context) {
  if (reduction_of(context.node) == Reduction::none) return refuse_packed(context);
  return refuse_dtype(NumericTypes{}, context.input_dtype(0));
}

}  // namespace

const CpuImplementation kScatterElementsCpu[1] = {
    {"scatter_elements", refuse_scatter, create_kernel<ScatterElementsKernel>}};
const CpuImplementation kScatterNdCpu[1] = {
    {"scatter_nd", refuse_scatter, create_kernel<ScatterNdKernel>}};

}  // namespace tercel::ops
