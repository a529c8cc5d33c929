#pragma once
// The CPU implementations of the quantization family.

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "src/ops/cpu_util.h"

namespace tercel::ops {

using ByteTypes = Types<int8_t, uint8_t>;

extern const CpuImplementation kConvIntegerCpu[2];
extern const CpuImplementation kDequantizeCpu[2];
extern const CpuImplementation kDynamicConvCpu[2];
extern const CpuImplementation kDynamicMatMulCpu[2];
extern const CpuImplementation kDynamicQuantizeCpu[1];
extern const CpuImplementation kMatMulIntegerCpu[2];
extern const CpuImplementation kQuantizeCpu[2];

// The nearest integer of T, ties to even; what is too large becomes the greatest.
template <class T>
T saturated(double value) {
  constexpr auto kLow = static_cast<double>(std::numeric_limits<T>::lowest());
  constexpr auto kHigh = static_cast<double>(std::numeric_limits<T>::max());
  if (std::isnan(value)) return 0;
  return static_cast<T>(std::clamp(std::nearbyint(value), kLow, kHigh));
}

// The same of a byte, ties to even before `zero` is added; written so that the compiler uses
// vectors.
template <class T>
T nearest_byte(float value, int32_t zero) {
  constexpr float kBeyond = 1000;        // any zero point brings back
  constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: the sum's low bits are the nearest integer
  constexpr int32_t kLow = std::numeric_limits<T>::min();
  constexpr int32_t kHigh = std::numeric_limits<T>::max();
  const float number = value == value ? value : 0;
  const float bounded = std::min(std::max(number, -kBeyond), kBeyond);
  const int32_t rounded = std::bit_cast<int32_t>(bounded + kShift) - std::bit_cast<int32_t>(kShift);
  return static_cast<T>(std::min(std::max(rounded + zero, kLow), kHigh));
}

}  // namespace tercel::ops
