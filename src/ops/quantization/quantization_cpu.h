#pragma once
// The CPU implementations of the quantization family.

#include <algorithm>
#include <cmath>
#include <limits>

#include "src/kernels/cpu/quantize.h"
#include "src/ops/cpu_util.h"

namespace tercel::ops {

using ByteTypes = Types<int8_t, uint8_t>;

extern const CpuImplementation kBlockMatMulCpu[2];
extern const CpuImplementation kConvIntegerCpu[2];
extern const CpuImplementation kDequantizeCpu[2];
extern const CpuImplementation kDynamicConvCpu[2];
extern const CpuImplementation kDynamicMatMulCpu[2];
extern const CpuImplementation kDynamicQuantizeCpu[1];
extern const CpuImplementation kLinearAddCpu[1];
extern const CpuImplementation kLinearConvCpu[2];
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

// Of a tensor of bytes.
inline int32_t byte_at(const Tensor& tensor, int64_t index) {
  return tensor.dtype() == Dtype::i8 ? elements<int8_t>(tensor)[index]
                                     : elements<uint8_t>(tensor)[index];
}

inline kernels::ByteType byte_type(Dtype dtype, int32_t zero) { return {dtype == Dtype::i8, zero}; }

}  // namespace tercel::ops
