#include "tercel/dtype.h"

#include <array>

#include "src/base/checked.h"
#include "src/base/fail.h"

namespace tercel {
namespace {

struct Row {
  Dtype dtype;
  std::string_view name;
  std::string_view onnx;
  int bits;
  bool floating;
  bool integer;
};

constexpr std::array<Row, 29> kTable{{
    {Dtype::undefined, "undefined", "undefined", 0, false, false},
    {Dtype::f32, "f32", "float", 32, true, false},
    {Dtype::u8, "u8", "uint8", 8, false, true},
    {Dtype::i8, "i8", "int8", 8, false, true},
    {Dtype::u16, "u16", "uint16", 16, false, true},
    {Dtype::i16, "i16", "int16", 16, false, true},
    {Dtype::i32, "i32", "int32", 32, false, true},
    {Dtype::i64, "i64", "int64", 64, false, true},
    {Dtype::string, "string", "string", 0, false, false},
    {Dtype::boolean, "bool", "bool", 8, false, false},
    {Dtype::f16, "f16", "float16", 16, true, false},
    {Dtype::f64, "f64", "double", 64, true, false},
    {Dtype::u32, "u32", "uint32", 32, false, true},
    {Dtype::u64, "u64", "uint64", 64, false, true},
    {Dtype::c64, "c64", "complex64", 64, false, false},
    {Dtype::c128, "c128", "complex128", 128, false, false},
    {Dtype::bf16, "bf16", "bfloat16", 16, true, false},
    {Dtype::f8e4m3fn, "f8e4m3fn", "float8e4m3fn", 8, true, false},
    {Dtype::f8e4m3fnuz, "f8e4m3fnuz", "float8e4m3fnuz", 8, true, false},
    {Dtype::f8e5m2, "f8e5m2", "float8e5m2", 8, true, false},
    {Dtype::f8e5m2fnuz, "f8e5m2fnuz", "float8e5m2fnuz", 8, true, false},
    {Dtype::u4, "u4", "uint4", 4, false, true},
    {Dtype::i4, "i4", "int4", 4, false, true},
    {Dtype::f4e2m1, "f4e2m1", "float4e2m1", 4, true, false},
    {Dtype::f8e8m0, "f8e8m0", "float8e8m0", 8, true, false},
    {Dtype::u2, "u2", "uint2", 2, false, true},
    {Dtype::i2, "i2", "int2", 2, false, true},
    {Dtype::f6e2m3, "f6e2m3", "float6e2m3", 6, true, false},
    {Dtype::f6e3m2, "f6e3m2", "float6e3m2", 6, true, false},
}};

constexpr Row kSequence{Dtype::sequence, "sequence", "sequence", 0, false, false};

const Row& row(Dtype dtype) {
  if (dtype == Dtype::sequence) return kSequence;
  const auto index = static_cast<std::size_t>(dtype);
  return index < kTable.size() ? kTable[index] : kTable[0];
}

}  // namespace

std::string_view to_string(Dtype dtype) { return row(dtype).name; }
std::string_view onnx_name(Dtype dtype) { return row(dtype).onnx; }
int bits_of(Dtype dtype) { return row(dtype).bits; }
bool is_floating_point(Dtype dtype) { return row(dtype).floating; }
bool is_integer(Dtype dtype) { return row(dtype).integer; }

std::optional<Dtype> parse_dtype(std::string_view name) {
  for (const Row& r : kTable) {
    if (r.dtype != Dtype::undefined && (r.name == name || r.onnx == name)) return r.dtype;
  }
  return std::nullopt;
}

std::size_t bytes_of(Dtype dtype, int64_t count) {
  if (count < 0) fail(Errc::invalid_argument, "a tensor cannot have {} elements", count);
  const int64_t bits = checked_mul(count, row(dtype).bits);
  return static_cast<std::size_t>(bits / 8 + (bits % 8 != 0 ? 1 : 0));
}

}  // namespace tercel
