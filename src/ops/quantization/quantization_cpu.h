#pragma once
// The CPU implementations of the quantization family.

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/ops/cpu_util.h"

namespace tercel::ops {

extern const CpuImplementation kConvIntegerCpu[2];
extern const CpuImplementation kDequantizeCpu[1];
extern const CpuImplementation kDynamicConvCpu[2];
extern const CpuImplementation kDynamicMatMulCpu[2];
extern const CpuImplementation kDynamicQuantizeCpu[1];
extern const CpuImplementation kMatMulIntegerCpu[2];
extern const CpuImplementation kQuantizeCpu[1];

// The nearest integer of T, ties to even; what is too large becomes the greatest.
template <class T>
T saturated(double value) {
  constexpr auto kLow = static_cast<double>(std::numeric_limits<T>::lowest());
  constexpr auto kHigh = static_cast<double>(std::numeric_limits<T>::max());
  if (std::isnan(value)) return 0;
  return static_cast<T>(std::clamp(std::nearbyint(value), kLow, kHigh));
}

}  // namespace tercel::ops
