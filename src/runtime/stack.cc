#include "src/runtime/stack.h"

#include <algorithm>

#include "src/ops/cpu_text.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::runtime {

void Stack::add(const Tensor& item) {
  if (count_ == 0) {
    if (!item.defined() || ops::element_bytes(item.dtype()) == 0) {
      fail(Errc::unsupported, "{}: values of type {} cannot be stacked", name_,
           to_string(item.dtype()));
    }
    dtype_ = item.dtype();
    shape_ = item.shape();
  }
  if (item.shape() != shape_ || item.dtype() != dtype_) {
    fail(Errc::invalid_argument, "{} is {} {} in the first iteration and {} {} in a later one",
         name_, to_string(dtype_), to_string(shape_), to_string(item.dtype()),
         to_string(item.shape()));
  }
  if (count_ == capacity_) grow();
  if (dtype_ == Dtype::string) counts_->push_back(ops::count_text(item, memory_, "Loop"));
  ops::dispatch_element(item.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    std::copy_n(ops::elements<T>(item), item.size(),
                ops::elements<T>(rows_) + count_ * item.size());
  });
  ++count_;
}

void Stack::grow() {
  const int64_t wanted = std::max({int64_t{1}, 2 * capacity_, reserved_});
  // Items without elements take no room, however many there are.
  Shape shape = shape_;
  shape.insert(shape.begin(), wanted);
  Tensor larger = ops::allocate_tensor(dtype_, {element_count(shape)}, memory_, "Loop");
  if (count_ > 0) {
    ops::dispatch_element(dtype_, [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* from = ops::elements<T>(rows_);
      std::move(from, from + count_ * element_count(shape_), ops::elements<T>(larger));
    });
  }
  rows_ = std::move(larger);
  capacity_ = wanted;
}

Tensor Stack::finish(const ir::Type& type, int64_t axis, bool reversed, ThreadPool& pool) const {
  Shape item = shape_;
  if (count_ == 0 && type.dims) {
    for (const ir::Dim& dim : *type.dims) item.push_back(std::max<int64_t>(dim.value(), 0));
  }
  const auto rank = static_cast<int64_t>(item.size()) + 1;
  if (axis < -rank || axis >= rank)
    fail(Errc::invalid_file, "{}: axis {} is out of range for rank {}", name_, axis, rank);
  const auto at = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
  Shape shape = item;
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(at), count_);
  if (count_ == 0) {
    if (type.dtype == Dtype::undefined)
      fail(Errc::unsupported, "{}: there is no iteration, and its type is not known", name_);
    return ops::allocate_tensor(type.dtype, shape, memory_, "Loop");
  }
  const int64_t row = element_count(shape_);
  if (at == 0 && !reversed)
    return ops::holding(rows_.slice(0, count_ * row).reshape(shape), counts_);
  Tensor out = ops::allocate_tensor(dtype_, shape, memory_, "Scan");
  const int64_t inner = ops::product(item, static_cast<int>(at), static_cast<int>(item.size()));
  ops::copy_strided({rows_.data(),
                     reversed ? (count_ - 1) * row : 0,
                     {ops::product(item, 0, static_cast<int>(at)), count_, inner},
                     {inner, reversed ? -row : row, 1}},
                    out.data(), out.dtype(), pool);
  return ops::holding(out, counts_);
}

Tensor take_item(const Tensor& tensor, int64_t axis, int64_t index, const ops::KernelRun& run) {
  const ops::AxisView view = ops::view_axis(tensor.shape(), axis);
  Shape shape = tensor.shape();
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  if (view.outer == 1) {
    return tensor.reshape({tensor.size()})
        .slice(index * view.inner, (index + 1) * view.inner)
        .reshape(shape);
  }
  Tensor out = ops::allocate_tensor(tensor.dtype(), shape, run.memory, "Scan");
  ops::copy_strided(
      {tensor.data(), index * view.inner, {view.outer, view.inner}, {view.axis * view.inner, 1}},
      out.data(), out.dtype(), run.pool);
  return ops::counted(out, run.memory, "Scan");
}

}  // namespace tercel::runtime
