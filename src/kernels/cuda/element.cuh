#pragma once
// What device code shares: elements as numbers, packs of elements, and the choice of a kernel by
// element type.

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

using Half = __half;
using Bfloat = __nv_bfloat16;

// The type to compute in: f32 for the short floating-point types, the widest for integers.
template <class T>
using Wide = std::conditional_t<
    std::is_same_v<T, double>, double,
    std::conditional_t<std::is_integral_v<T>,
                       std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>, float>>;

template <class T>
__device__ __forceinline__ Wide<T> widen(T value) {
  if constexpr (std::is_same_v<T, Half>)
    return __half2float(value);
  else if constexpr (std::is_same_v<T, Bfloat>)
    return __bfloat162float(value);
  else
    return static_cast<Wide<T>>(value);
}

template <class T>
__device__ __forceinline__ T narrow(Wide<T> value) {
  if constexpr (std::is_same_v<T, Half>)
    return __float2half_rn(value);
  else if constexpr (std::is_same_v<T, Bfloat>)
    return __float2bfloat16_rn(value);
  else
    return static_cast<T>(value);
}

// N elements that are read and written at once.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T at[N];
};

template <class T>
constexpr int kPackOf = 16 / static_cast<int>(sizeof(T));

// Whether packs of N elements of T may be read at `pointer`, and at every multiple of `stride`.
template <class T, int N>
bool packs(const void* pointer, int64_t stride = 0) {
  return reinterpret_cast<uintptr_t>(pointer) % (sizeof(T) * N) == 0 && stride % N == 0;
}

struct alignas(16) Bytes16 {
  uint64_t low, high;
};

template <class T>
struct Tag {
  using type = T;
};

// Each calls body(Tag<T>{}) with the type of an element.
template <class Body>
void with_float_type(const char* kernel, Dtype type, Body&& body) {
  switch (type) {
    case Dtype::f32:
      return body(Tag<float>{});
    case Dtype::f16:
      return body(Tag<Half>{});
    case Dtype::bf16:
      return body(Tag<Bfloat>{});
    default:
      unsupported_type(kernel, type);
  }
}

template <class Body>
void with_integer_type(const char* kernel, Dtype type, Body&& body) {
  switch (type) {
    case Dtype::u8:
      return body(Tag<uint8_t>{});
    case Dtype::i8:
      return body(Tag<int8_t>{});
    case Dtype::u16:
      return body(Tag<uint16_t>{});
    case Dtype::i16:
      return body(Tag<int16_t>{});
    case Dtype::u32:
      return body(Tag<uint32_t>{});
    case Dtype::i32:
      return body(Tag<int32_t>{});
    case Dtype::u64:
      return body(Tag<uint64_t>{});
    case Dtype::i64:
      return body(Tag<int64_t>{});
    default:
      unsupported_type(kernel, type);
  }
}

// bool is seen as u8.
template <class Body>
void with_numeric_type(const char* kernel, Dtype type, Body&& body) {
  switch (type) {
    case Dtype::f32:
    case Dtype::f16:
    case Dtype::bf16:
      return with_float_type(kernel, type, body);
    case Dtype::f64:
      return body(Tag<double>{});
    case Dtype::boolean:
      return body(Tag<uint8_t>{});
    default:
      return with_integer_type(kernel, type, body);
  }
}

template <class Body>
void with_index_type(const char* kernel, Dtype type, Body&& body) {
  if (type == Dtype::i32) return body(Tag<int32_t>{});
  if (type == Dtype::i64) return body(Tag<int64_t>{});
  unsupported_type(kernel, type);
}

// The type that moves an element of so many bytes.
template <class Body>
void with_element(const char* kernel, int bytes, Body&& body) {
  switch (bytes) {
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
      unsupported_size(kernel, "element of bytes", bytes);
  }
}

inline int64_t count_of(const Extents& dims) {
  int64_t count = 1;
  for (int d = 0; d < dims.rank; ++d) count *= dims.at[d];
  return count;
}

constexpr int kThreads = 256;

// Blocks for grid-stride loops over `count` items, `threads` a block: no more than fill the device
// a few times over.
inline unsigned blocks_for(int64_t count, int threads = kThreads) {
  const int64_t most = int64_t{multiprocessors()} * (4096 / threads);
  return static_cast<unsigned>(std::clamp<int64_t>((count + threads - 1) / threads, 1, most));
}

__device__ __forceinline__ int64_t global_thread() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ int64_t all_threads() {
  return static_cast<int64_t>(gridDim.x) * blockDim.x;
}

// An index counted from the front of an axis of `size`; -1, and *error set, when out of range.
__device__ __forceinline__ int64_t checked_index(int64_t index, int64_t size, int* error) {
  if (index < 0) index += size;
  if (index >= 0 && index < size) return index;
  if (error != nullptr) *error = 1;
  return -1;
}

}  // namespace tercel::kernels::cuda
