#include "src/ops/tensor/tensor_cpu.h"

namespace tercel::ops {
namespace {

// Element `at` of an index tensor, which is i32 or i64.
class Indices {
 public:
  explicit Indices(const Tensor& tensor)
      : data_(tensor.data()), wide_(tensor.dtype() == Dtype::i64) {}
  int64_t operator[](int64_t at) const {
    return wide_ ? static_cast<const int64_t*>(data_)[at] : static_cast<const int32_t*>(data_)[at];
  }

 private:
  const void* data_;
  bool wide_;
};

class GatherKernel final : public CpuKernel {
 public:
  explicit GatherKernel(const KernelContext& context)
      : label_(context.node.label()), axis_(context.node.int_or("axis", 0)) {}
  // Only the rows that are asked for are read: a table may be a mapped file.
  void run(const KernelRun& run) const override {
    const Tensor& data = run.inputs[0];
    const AxisView view = view_axis(data.shape(), axis_);
    const Indices indices(run.inputs[1]);
    const int64_t count = run.inputs[1].size();
    dispatch_element(data.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* from = elements<T>(data);
      T* to = elements<T>(run.outputs[0]);
      const int64_t rows = count * view.outer;
      run.pool.parallel_for(rows, rows_per_grain(view.inner), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t index = checked_index(indices[i % count], view.axis, label_);
          std::copy_n(from + (i / count * view.axis + index) * view.inner, view.inner,
                      to + i * view.inner);
        }
      });
    });
  }

 private:
  std::string label_;
  int64_t axis_;
};

class GatherElementsKernel final : public CpuKernel {
 public:
  explicit GatherElementsKernel(const KernelContext& context)
      : label_(context.node.label()), axis_(context.node.int_or("axis", 0)) {}
  void run(const KernelRun& run) const override {
    const Tensor& data = run.inputs[0];
    const Shape& shape = run.inputs[1].shape();
    const Indices indices(run.inputs[1]);
    const auto axis = static_cast<std::size_t>(axis_ < 0 ? axis_ + data.rank() : axis_);
    for (std::size_t d = 0; d < shape.size(); ++d) {
      if (d != axis && shape[d] > data.shape()[d]) {
        fail(Errc::invalid_argument, "{} indices of shape {} reach beyond data of shape {}", label_,
             to_string(shape), to_string(data.shape()));
      }
    }
    const std::vector<int64_t> strides = row_major(data.shape());
    dispatch_element(data.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* from = elements<T>(data);
      T* to = elements<T>(run.outputs[0]);
      run.pool.parallel_for(run.inputs[1].size(), kGrain / 8, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t rest = i;
          int64_t at = 0;
          for (std::size_t d = shape.size(); d-- > 0;) {
            const int64_t place =
                d == axis ? checked_index(indices[i], data.shape()[d], label_) : rest % shape[d];
            at += place * strides[d];
            rest /= shape[d];
          }
          to[i] = from[at];
        }
      });
    });
  }

 private:
  std::string label_;
  int64_t axis_;
};

class GatherNdKernel final : public CpuKernel {
 public:
  explicit GatherNdKernel(const KernelContext& context)
      : label_(context.node.label()), batch_(context.node.int_or("batch_dims", 0)) {}
  void run(const KernelRun& run) const override {
    const Tensor& data = run.inputs[0];
    const Tensor& where_from = run.inputs[1];
    const Indices indices(where_from);
    const auto batch = static_cast<int>(batch_);
    const auto depth = static_cast<int>(where_from.shape().back());
    const int64_t slices = product(where_from.shape(), 0, where_from.rank() - 1);
    const int64_t batches = product(where_from.shape(), 0, batch);
    const int64_t row = product(data.shape(), batch + depth, data.rank());
    const int64_t block = product(data.shape(), batch, data.rank());
    const std::vector<int64_t> strides = row_major(data.shape());
    if (slices == 0) return;
    const int64_t per_batch = slices / batches;
    dispatch_element(data.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* from = elements<T>(data);
      T* to = elements<T>(run.outputs[0]);
      run.pool.parallel_for(slices, rows_per_grain(row), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          int64_t at = i / per_batch * block;
          for (int d = 0; d < depth; ++d) {
            const auto axis = static_cast<std::size_t>(batch + d);
            at += checked_index(indices[i * depth + d], data.shape()[axis], label_) * strides[axis];
          }
          std::copy_n(from + at, row, to + i * row);
        }
      });
    });
  }

 private:
  std::string label_;
  int64_t batch_;
};

}  // namespace

const CpuImplementation kGatherCpu[1] = {{"gather", refuse_packed, create_kernel<GatherKernel>}};
const CpuImplementation kGatherElementsCpu[1] = {
    {"gather_elements", refuse_packed, create_kernel<GatherElementsKernel>}};
const CpuImplementation kGatherNdCpu[1] = {
    {"gather_nd", refuse_packed, create_kernel<GatherNdKernel>}};

}  // namespace tercel::ops
