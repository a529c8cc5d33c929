#include "tercel/tensor.h"

#include <cstring>

#include "src/base/checked.h"
#include "src/base/fail.h"
#include "src/device/memory.h"

namespace tercel {

std::string to_string(const Shape& shape) {
  if (shape.empty()) return "scalar";
  std::string text;
  for (const int64_t dim : shape) {
    if (!text.empty()) text += 'x';
    text += std::to_string(dim);
  }
  return text;
}

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  bool empty = false;
  for (const int64_t dim : shape) {
    if (dim < 0)
      fail(Errc::invalid_argument, "shape {} has a negative dimension", to_string(shape));
    empty = empty || dim == 0;
  }
  if (empty) return 0;
  for (const int64_t dim : shape) count = checked_mul(count, dim);
  return count;
}

namespace {

// One more than there are elements, so that a tensor without any has an address.
std::size_t element_slots(int64_t size) { return static_cast<std::size_t>(size) + 1; }

std::size_t element_width(Dtype dtype) {
  if (dtype == Dtype::string) return sizeof(std::string);
  if (dtype == Dtype::sequence) return sizeof(Tensor);
  return static_cast<std::size_t>(bits_of(dtype) / 8);
}

}  // namespace

template <class T>
void Tensor::own(std::vector<T> elements) {
  auto held = std::make_shared<std::vector<T>>(std::move(elements));
  data_ = held->data();
  owner_ = std::move(held);
}

Tensor::Tensor(Dtype dtype, Shape shape)
    : dtype_(dtype), shape_(std::move(shape)), size_(element_count(shape_)) {
  if (dtype == Dtype::string) {
    own(std::vector<std::string>(element_slots(size_)));
    return;
  }
  if (dtype == Dtype::sequence) {
    own(std::vector<Tensor>(element_slots(size_)));
    return;
  }
  if (bits_of(dtype) == 0) fail(Errc::invalid_argument, "a tensor needs an element type");
  static const auto allocator = make_cpu_allocator();
  auto buffer = allocator->allocate(bytes_of(dtype, size_), "tensor");
  data_ = buffer->data();
  owner_ = std::move(buffer);
}

Tensor Tensor::view_of(const void* data, Dtype dtype, Shape shape,
                       std::shared_ptr<const void> keep_alive) {
  static constexpr char kNothing = 0;  // a tensor without elements is still defined
  Tensor tensor;
  tensor.dtype_ = dtype;
  tensor.shape_ = std::move(shape);
  tensor.size_ = element_count(tensor.shape_);
  tensor.data_ = const_cast<void*>(data != nullptr || tensor.size_ > 0 ? data : &kNothing);
  tensor.owner_ = std::move(keep_alive);
  return tensor;
}

Tensor Tensor::from_strings(std::vector<std::string> values, Shape shape) {
  Tensor tensor(Dtype::string, std::move(shape));
  if (static_cast<int64_t>(values.size()) != tensor.size_) {
    fail(Errc::invalid_argument, "Tensor::from_strings: {} values do not fill the shape {}",
         values.size(), to_string(tensor.shape_));
  }
  for (std::size_t i = 0; i < values.size(); ++i) tensor.strings()[i] = std::move(values[i]);
  return tensor;
}

Tensor Tensor::sequence(std::vector<Tensor> items) {
  Tensor tensor(Dtype::sequence, {static_cast<int64_t>(items.size())});
  for (std::size_t i = 0; i < items.size(); ++i) tensor.items()[i] = std::move(items[i]);
  return tensor;
}

void Tensor::require(Dtype dtype) const {
  if (dtype != dtype_) {
    fail(Errc::invalid_argument, "the tensor holds {}, not {}", tercel::to_string(dtype_),
         tercel::to_string(dtype));
  }
}

std::span<const std::string> Tensor::strings() const {
  require(Dtype::string);
  return {static_cast<const std::string*>(data_), static_cast<std::size_t>(size_)};
}

std::span<std::string> Tensor::strings() {
  require(Dtype::string);
  return {static_cast<std::string*>(data_), static_cast<std::size_t>(size_)};
}

std::span<const Tensor> Tensor::items() const {
  require(Dtype::sequence);
  return {static_cast<const Tensor*>(data_), static_cast<std::size_t>(size_)};
}

std::span<Tensor> Tensor::items() {
  require(Dtype::sequence);
  return {static_cast<Tensor*>(data_), static_cast<std::size_t>(size_)};
}

Tensor Tensor::reshape(Shape shape) const {
  if (element_count(shape) != size_) {
    fail(Errc::invalid_argument, "shape {} cannot become {}", tercel::to_string(shape_),
         tercel::to_string(shape));
  }
  Tensor tensor = *this;
  tensor.shape_ = std::move(shape);
  return tensor;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  if (shape_.empty() || begin < 0 || end < begin || end > shape_[0]) {
    fail(Errc::invalid_argument, "rows {} to {} of a tensor of shape {}", begin, end,
         tercel::to_string(shape_));
  }
  if (bits_of(dtype_) % 8 != 0) {
    fail(Errc::invalid_argument, "a slice of {} elements is not supported",
         tercel::to_string(dtype_));
  }
  Tensor tensor = *this;
  tensor.shape_[0] = end - begin;
  tensor.size_ = element_count(tensor.shape_);
  const int64_t row = shape_[0] == 0 ? 0 : size_ / shape_[0];
  tensor.data_ = static_cast<std::byte*>(data_) +
                 static_cast<std::size_t>(begin * row) * element_width(dtype_);
  return tensor;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor copy(dtype_, shape_);
  if (dtype_ == Dtype::string) {
    for (std::size_t i = 0; i < strings().size(); ++i) copy.strings()[i] = strings()[i];
  } else if (dtype_ == Dtype::sequence) {
    for (std::size_t i = 0; i < items().size(); ++i) copy.items()[i] = items()[i].clone();
  } else if (bytes() > 0) {
    std::memcpy(copy.data_, data_, bytes());
  }
  return copy;
}

}  // namespace tercel
