#pragma once
// Single elements of every type that quantised tensors and their scales have, as f64.

#include "src/base/packed.h"
#include "src/base/small_float.h"
#include "src/ops/quantization/quantization_cpu.h"

namespace tercel::ops {

using PlainTypes = decltype(FloatTypes{} + IntegerTypes{});

inline bool is_packed_integer(Dtype dtype) { return is_integer(dtype) && bits_of(dtype) < 8; }
inline bool is_signed_packed(Dtype dtype) { return dtype == Dtype::i4 || dtype == Dtype::i2; }

// Empty when read_element takes the type.
inline std::string refuse_element(Dtype dtype) {
  if (contains(PlainTypes{}, dtype) || is_packed_integer(dtype) || is_small_float(dtype)) return {};
  return fmt::format("takes no {}", to_string(dtype));
}

inline double read_element(const void* data, Dtype dtype, int64_t index) {
  if (is_small_float(dtype)) {
    return static_cast<double>(
        small_float_value(dtype, packed_element(data, index, bits_of(dtype))));
  }
  if (is_packed_integer(dtype)) {
    const int bits = bits_of(dtype);
    const int value = packed_element(data, index, bits);
    const int sign = 1 << (bits - 1);
    return is_signed_packed(dtype) && value >= sign ? value - 2 * sign : value;
  }
  double value = 0;
  dispatch_dtype(PlainTypes{}, dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    value = static_cast<double>(load(static_cast<const T*>(data)[index]));
  });
  return value;
}

// Rounded to the type, ties to even. Integers saturate; small floating-point types when `saturate`.
inline void write_element(void* data, Dtype dtype, int64_t index, double value, bool saturate) {
  if (is_small_float(dtype)) {
    const SmallFloatOptions options{.saturate = saturate, .rounding = ScaleRounding::nearest};
    set_packed_element(data, index, bits_of(dtype), small_float_code(dtype, value, options));
    return;
  }
  if (is_packed_integer(dtype)) {
    const int steps = 1 << bits_of(dtype);
    const double low = is_signed_packed(dtype) ? -steps / 2 : 0;
    const double rounded = std::isnan(value) ? 0 : std::nearbyint(value);
    const auto code = static_cast<int>(std::clamp(rounded, low, low + steps - 1));
    set_packed_element(data, index, bits_of(dtype), static_cast<uint8_t>(code));
    return;
  }
  dispatch_dtype(PlainTypes{}, dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>)
      static_cast<T*>(data)[index] = saturated<T>(value);
    else
      static_cast<T*>(data)[index] = store<T>(static_cast<ComputeType<T>>(value));
  });
}

}  // namespace tercel::ops
