#pragma once
// A tensor: a shared block of memory seen as an array of some shape and element type.
//
// Tensors are values: a copy shares the elements (as in numpy), `clone()` copies them. Strings are
// held as std::string elements. Dimensions and strides count elements; memory is row-major unless
// said. A sequence of tensors, as some models take and give them, is held as a tensor too: of rank
// 1, with Tensor elements. An optional value is the value itself, or an undefined tensor.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tercel/dtype.h"
#include "tercel/error.h"
#include "tercel/export.h"

namespace tercel {

using Shape = std::vector<int64_t>;

// "2x128x384"; "scalar" for rank 0.
TERCEL_API std::string to_string(const Shape& shape);

// Product of the dimensions. Throws Errc::invalid_argument when a dimension is negative or the
// product overflows int64.
TERCEL_API int64_t element_count(const Shape& shape);

class TERCEL_API Tensor {
 public:
  Tensor() = default;  // no tensor: defined() is false

  // Uninitialised elements in host memory (empty strings for Dtype::string, undefined tensors for
  // Dtype::sequence).
  Tensor(Dtype dtype, Shape shape);

  // Sees `data` without copying; `keep_alive` is held for as long as any tensor refers to it.
  // `data` must hold bytes_of(dtype, element_count(shape)) bytes, aligned for the element type.
  static Tensor view_of(const void* data, Dtype dtype, Shape shape,
                        std::shared_ptr<const void> keep_alive = nullptr);

  // Copies `values`, whose number must be the shape's element count.
  template <class T>
  static Tensor from(std::span<const T> values, Shape shape);
  template <class T>
  static Tensor from(std::initializer_list<T> values, Shape shape) {
    return from(std::span<const T>(values.begin(), values.size()), std::move(shape));
  }
  template <class T>
  static Tensor from(const std::vector<T>& values, Shape shape) {
    return from(std::span<const T>(values), std::move(shape));
  }
  template <class T>
  static Tensor scalar(T value) {
    return from(std::span<const T>(&value, 1), {});
  }
  static Tensor from_strings(std::vector<std::string> values, Shape shape);
  static Tensor sequence(std::vector<Tensor> items);

  bool defined() const { return data_ != nullptr; }
  Dtype dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t size() const { return size_; }  // elements
  std::size_t bytes() const { return bytes_of(dtype_, size_); }

  const void* data() const { return data_; }
  void* data() { return data_; }

  // The elements as T. Throws Errc::invalid_argument when dtype() is not T's.
  template <class T>
  std::span<const T> values() const {
    require(dtype_of<T>());
    return {static_cast<const T*>(data_), static_cast<std::size_t>(size_)};
  }
  template <class T>
  std::span<T> values() {
    require(dtype_of<T>());
    return {static_cast<T*>(data_), static_cast<std::size_t>(size_)};
  }
  std::span<const std::string> strings() const;
  std::span<std::string> strings();
  bool is_sequence() const { return dtype_ == Dtype::sequence; }
  // The tensors of a sequence. Throws Errc::invalid_argument when it is none.
  std::span<const Tensor> items() const;
  std::span<Tensor> items();

  // The same elements in another shape of equal element count.
  Tensor reshape(Shape shape) const;

  // Rows [begin, end) of the first dimension, sharing the elements (types of whole bytes only).
  Tensor slice(int64_t begin, int64_t end) const;

  Tensor clone() const;

 private:
  void require(Dtype dtype) const;
  template <class T>
  void own(std::vector<T> elements);

  std::shared_ptr<const void> owner_;
  void* data_ = nullptr;
  Dtype dtype_ = Dtype::undefined;
  Shape shape_;
  int64_t size_ = 0;
};

template <class T>
Tensor Tensor::from(std::span<const T> values, Shape shape) {
  Tensor tensor(dtype_of<T>(), std::move(shape));
  if (static_cast<int64_t>(values.size()) != tensor.size()) {
    throw Error(Errc::invalid_argument, "Tensor::from: " + std::to_string(values.size()) +
                                            " values do not fill the shape " +
                                            to_string(tensor.shape()));
  }
  for (std::size_t i = 0; i < values.size(); ++i) static_cast<T*>(tensor.data())[i] = values[i];
  return tensor;
}

}  // namespace tercel
