// NonZero, Compress, OneHot, Trilu.

#include <limits>

#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

class NonZeroKernel final : public CpuKernel {
 public:
  explicit NonZeroKernel(const KernelContext&) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const std::vector<int64_t> strides = row_major(in.shape());
    dispatch_dtype(in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* values = elements<T>(in);
      const auto found = [](T value) { return load(value) != 0; };
      const int64_t count = std::count_if(values, values + in.size(), found);
      run.outputs[0] = allocate_tensor(Dtype::i64, {in.rank(), count}, run.memory, "NonZero");
      int64_t* column = elements<int64_t>(run.outputs[0]);
      for (int64_t i = 0; i < in.size(); ++i) {
        if (!found(values[i])) continue;
        for (std::size_t axis = 0; axis < strides.size(); ++axis)
          column[static_cast<int64_t>(axis) * count] = i / strides[axis] % in.shape()[axis];
        ++column;
      }
    });
  }
  bool allocates_outputs() const override { return true; }
};

class CompressKernel final : public CpuKernel {
 public:
  explicit CompressKernel(const KernelContext& context)
      : label_(context.node.label()),
        flat_(!context.node.has_attribute("axis")),
        axis_(context.node.int_or("axis", 0)) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const AxisView view = flat_ ? AxisView{1, in.size(), 1} : view_axis(in.shape(), axis_);
    std::vector<int64_t> kept;
    const auto flags = run.inputs[1].values<bool>();
    for (std::size_t i = 0; i < flags.size(); ++i) {
      if (flags[i]) kept.push_back(checked_index(static_cast<int64_t>(i), view.axis, label_));
    }
    const auto count = static_cast<int64_t>(kept.size());
    Shape shape{count};
    if (!flat_) {
      shape = in.shape();
      shape[static_cast<std::size_t>(axis_ < 0 ? axis_ + in.rank() : axis_)] = count;
    }
    Tensor out = allocate_tensor(in.dtype(), shape, run.memory, "Compress");
    dispatch_element(in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* to = elements<T>(out);
      for (int64_t outer = 0; outer < view.outer; ++outer) {
        const T* from = elements<T>(in) + outer * view.axis * view.inner;
        for (const int64_t i : kept) to = std::copy_n(from + i * view.inner, view.inner, to);
      }
    });
    run.outputs[0] = std::move(out);
  }
  bool allocates_outputs() const override { return true; }

 private:
  std::string label_;
  bool flat_;
  int64_t axis_;
};

// Out-of-range indices give a row of the off value.
class OneHotKernel final : public CpuKernel {
 public:
  explicit OneHotKernel(const KernelContext& context)
      : label_(context.node.label()),
        axis_(context.node.int_or("axis", -1)),
        followed_(context.input_dtype(1) == Dtype::i64 || context.input_dtype(1) == Dtype::i32) {}
  // Inference follows the values of wide integers alone; a depth of another type is read here.
  bool allocates_outputs() const override { return !followed_; }
  void run(const KernelRun& run) const override {
    if (!followed_) {
      run.outputs[0] = allocate_tensor(run.inputs[2].dtype(), shape_of(run), run.memory, "OneHot");
    }
    Tensor& out = run.outputs[0];
    const AxisView view = view_axis(out.shape(), axis_);
    std::vector<int64_t> indices;
    dispatch_dtype(NumericTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < run.inputs[0].size(); ++i)
        indices.push_back(static_cast<int64_t>(load(elements<T>(run.inputs[0])[i])));
    });
    dispatch_element(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* values = elements<T>(run.inputs[2]);
      T* to = elements<T>(out);
      std::fill_n(to, out.size(), values[0]);
      for (int64_t i = 0; i < static_cast<int64_t>(indices.size()); ++i) {
        int64_t hot = indices[static_cast<std::size_t>(i)];
        if (hot < 0) hot += view.axis;
        if (hot < 0 || hot >= view.axis) continue;
        to[(i / view.inner * view.axis + hot) * view.inner + i % view.inner] = values[1];
      }
    });
  }

 private:
  Shape shape_of(const KernelRun& run) const {
    const Tensor& depth = run.inputs[1];
    if (depth.size() != 1) {
      fail(Errc::invalid_argument, "{} depth has {} elements, not 1", label_, depth.size());
    }
    int64_t size = 0;
    dispatch_dtype(NumericTypes{}, depth.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto value = static_cast<double>(load(elements<T>(depth)[0]));
      if (!(value >= 0 && value <= static_cast<double>(std::numeric_limits<int32_t>::max())))
        fail(Errc::invalid_argument, "{} depth {} is no size", label_, value);
      size = static_cast<int64_t>(value);
    });
    Shape shape = run.inputs[0].shape();
    const auto rank = static_cast<int64_t>(shape.size()) + 1;
    if (axis_ < -rank || axis_ >= rank)
      fail(Errc::invalid_file, "{} axis {} is out of range for rank {}", label_, axis_, rank);
    shape.insert(shape.begin() + (axis_ < 0 ? axis_ + rank : axis_), size);
    return shape;
  }

  std::string label_;
  int64_t axis_;
  bool followed_;
};

class TriluKernel final : public CpuKernel {
 public:
  explicit TriluKernel(const KernelContext& context)
      : upper_(context.node.int_or("upper", 1) != 0) {}
  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    const int64_t columns = in.shape().back();
    const int64_t rows = in.shape()[in.shape().size() - 2];
    if (out.size() == 0) return;
    const bool shifted = run.inputs.size() > 1 && run.inputs[1].defined();
    // Beyond the matrix every shift is the same.
    const int64_t k =
        std::clamp(shifted ? integer_value(run.inputs[1]) : 0, -rows - 1, columns + 1);
    copy_all(in, out, run.pool);
    dispatch_element(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < out.size() / columns; ++i) {
        T* row = elements<T>(out) + i * columns;
        const int64_t diagonal = i % rows + k;
        if (upper_)
          std::fill_n(row, std::clamp<int64_t>(diagonal, 0, columns), T{});
        else
          std::fill(row + std::clamp<int64_t>(diagonal + 1, 0, columns), row + columns, T{});
      }
    });
  }
  bool in_place(int input) const override { return input == 0; }

 private:
  bool upper_;
};

std::string refuse_non_zero(const KernelContext& context) {
  return refuse_dtype(AllTypes{}, context.input_dtype(0));
}

std::string refuse_one_hot(const KernelContext& context) {
  const std::string reason = refuse_dtype(NumericTypes{}, context.input_dtype(0));
  return reason.empty() ? refuse_packed(context) : reason;
}

}  // namespace

const CpuImplementation kNonZeroCpu[1] = {
    {"non_zero", refuse_non_zero, create_kernel<NonZeroKernel>}};
const CpuImplementation kCompressCpu[1] = {
    {"compress", refuse_packed, create_kernel<CompressKernel>}};
const CpuImplementation kOneHotCpu[1] = {{"one_hot", refuse_one_hot, create_kernel<OneHotKernel>}};
const CpuImplementation kTriluCpu[1] = {{"trilu", refuse_packed, create_kernel<TriluKernel>}};

}  // namespace tercel::ops
