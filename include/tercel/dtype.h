#pragma once
// Element types. The values are those of ONNX's TensorProto.DataType, so that a number in a file
// and a number here are the same; src/base/dtype.cc has the table of their sizes and names.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tercel/export.h"

namespace tercel {

enum class Dtype : int32_t {
  sequence = -1,  // no number of ONNX's: the elements are tensors (Tensor::sequence)
  undefined = 0,
  f32 = 1,
  u8 = 2,
  i8 = 3,
  u16 = 4,
  i16 = 5,
  i32 = 6,
  i64 = 7,
  string = 8,
  boolean = 9,
  f16 = 10,
  f64 = 11,
  u32 = 12,
  u64 = 13,
  c64 = 14,
  c128 = 15,
  bf16 = 16,
  f8e4m3fn = 17,
  f8e4m3fnuz = 18,
  f8e5m2 = 19,
  f8e5m2fnuz = 20,
  u4 = 21,
  i4 = 22,
  f4e2m1 = 23,
  f8e8m0 = 24,
  u2 = 25,
  i2 = 26,
  f6e2m3 = 27,
  f6e3m2 = 28,
};

// Tercel's short name ("f32"), as options and messages write it.
TERCEL_API std::string_view to_string(Dtype dtype);

// ONNX's textual name ("float", "float16", "int64", …), as its text form writes it.
TERCEL_API std::string_view onnx_name(Dtype dtype);

// Accepts both kinds of name; nothing when the name is unknown.
TERCEL_API std::optional<Dtype> parse_dtype(std::string_view name);

// Bits of one element; sub-byte types are packed, low bits first. Zero for undefined, string and
// sequence.
TERCEL_API int bits_of(Dtype dtype);

// Bytes that `count` elements take when stored densely. Zero for undefined, string and sequence.
// Throws Errc::invalid_argument when count is negative or the product overflows.
TERCEL_API std::size_t bytes_of(Dtype dtype, int64_t count);

TERCEL_API bool is_floating_point(
    Dtype dtype);  // f16, bf16, f32, f64 and the float8, float6 and float4 types
TERCEL_API bool is_integer(Dtype dtype);  // signed and unsigned, not boolean

// The Dtype of a C++ type that holds one element: dtype_of<float>() == Dtype::f32.
template <class T>
constexpr Dtype dtype_of();
template <>
constexpr Dtype dtype_of<float>() {
  return Dtype::f32;
}
template <>
constexpr Dtype dtype_of<double>() {
  return Dtype::f64;
}
template <>
constexpr Dtype dtype_of<int8_t>() {
  return Dtype::i8;
}
template <>
constexpr Dtype dtype_of<uint8_t>() {
  return Dtype::u8;
}
template <>
constexpr Dtype dtype_of<int16_t>() {
  return Dtype::i16;
}
template <>
constexpr Dtype dtype_of<uint16_t>() {
  return Dtype::u16;
}
template <>
constexpr Dtype dtype_of<int32_t>() {
  return Dtype::i32;
}
template <>
constexpr Dtype dtype_of<uint32_t>() {
  return Dtype::u32;
}
template <>
constexpr Dtype dtype_of<int64_t>() {
  return Dtype::i64;
}
template <>
constexpr Dtype dtype_of<uint64_t>() {
  return Dtype::u64;
}
template <>
constexpr Dtype dtype_of<bool>() {
  return Dtype::boolean;
}

}  // namespace tercel
