#pragma once
// What the CPU kernels share that move elements without looking at them.

#include <algorithm>
#include <string>

#include "src/ops/cpu_util.h"

namespace tercel::ops {

// Elements are moved as one of these, by size.
struct Bytes16 {
  uint64_t low = 0, high = 0;
};

// Bytes that one element takes in memory; 0 for packed types of less than a byte.
std::size_t element_bytes(Dtype dtype);

// Calls body(Tag<T>{}) with T of the size of an element, std::string for strings.
template <class Body>
void dispatch_element(Dtype dtype, Body&& body) {
  if (dtype == Dtype::string) return body(Tag<std::string>{});
  switch (element_bytes(dtype)) {
    case 1:
      return body(Tag<uint8_t>{});
    case 2:
      return body(Tag<uint16_t>{});
    case 4:
      return body(Tag<uint32_t>{});
    case 8:
      return body(Tag<uint64_t>{});
    case 16:
      return body(Tag<Bytes16>{});
    default:
      fail(Errc::internal, "no kernel moves elements of type {}", to_string(dtype));
  }
}

// A CpuImplementation::refuse: packed types are refused, of output 0.
std::string refuse_packed(const KernelContext& context);

// Row-major strides, in elements.
std::vector<int64_t> row_major(const Shape& shape);

// An array seen with a stride for each dimension: 0 repeats, negative ones run backwards.
struct StridedSource {
  const void* data = nullptr;  // of the tensor's first element
  int64_t offset = 0;          // of element [0, 0, …], in elements
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;
};

// Writes the source's elements to `out` in row-major order.
void copy_strided(const StridedSource& source, void* out, Dtype dtype, ThreadPool& pool);

// All elements, in their order, unless they are in place already.
void copy_all(const Tensor& from, Tensor& to, ThreadPool& pool);

// An index into an axis of `size` elements counted from its front; throws Errc::invalid_argument
// naming the node, the index and the range.
int64_t checked_index(int64_t index, int64_t size, const std::string& label);

}  // namespace tercel::ops
