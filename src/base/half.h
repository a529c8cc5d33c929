#pragma once
// Scalar conversions between f32 and the 16-bit floating-point types, round to nearest even, NaN
// kept (IEEE 754-2019 binary16; bfloat16 is the upper half of binary32). Kernels convert by
// vectors.

#include <bit>
#include <cstdint>

namespace tercel {

struct f16 {
  uint16_t bits = 0;
};
struct bf16 {
  uint16_t bits = 0;
};

inline float to_float(bf16 value) { return std::bit_cast<float>(uint32_t{value.bits} << 16); }

inline bf16 to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) return {static_cast<uint16_t>((bits >> 16) | 0x40U)};
  return {static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
}

inline float to_float(f16 value) {
  const uint32_t sign = uint32_t{value.bits & 0x8000U} << 16;
  const uint32_t rest = value.bits & 0x7fffU;
  if (rest >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | ((rest & 0x3ffU) << 13));
  if (rest >= 0x0400U) return std::bit_cast<float>(sign | ((rest << 13) + 0x38000000U));
  const float magnitude = static_cast<float>(rest) * 0x1p-24F;  // subnormal or zero
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

inline f16 to_f16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000U);
  const uint32_t rest = bits & 0x7fffffffU;
  if (rest > 0x7f800000U) {  // NaN, its payload's top bits kept
    return {static_cast<uint16_t>(sign | 0x7e00U | ((rest >> 13) & 0x3ffU))};
  }
  if (rest >= 0x477ff000U) return {static_cast<uint16_t>(sign | 0x7c00U)};  // rounds to infinity
  if (rest < 0x38800000U) {  // subnormal or zero: adding 0.5 rounds at bit 2^-24
    const float rounded = std::bit_cast<float>(rest) + 0.5F;
    return {static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000U))};
  }
  const uint32_t rounded = rest + 0xfffU + ((rest >> 13) & 1U);
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000U) >> 13))};
}

}  // namespace tercel
