#pragma once
// Elements of 2, 4 and 6 bits in an array of bytes: the first in the lowest bits. A 6-bit element
// may lie in two bytes (ONNX TensorProto.raw_data).

#include <cstdint>

namespace tercel {

// Unsigned: the bits as they are.
inline uint8_t packed_element(const void* data, int64_t index, int bits) {
  const int64_t at = index * bits;
  const auto* bytes = static_cast<const uint8_t*>(data) + at / 8;
  const int shift = static_cast<int>(at % 8);
  unsigned window = bytes[0];
  if (shift + bits > 8) window |= static_cast<unsigned>(bytes[1]) << 8U;
  return static_cast<uint8_t>((window >> static_cast<unsigned>(shift)) & ((1U << bits) - 1U));
}

// Leaves the other elements alone; what lies above the lowest `bits` of `value` is dropped.
inline void set_packed_element(void* data, int64_t index, int bits, uint8_t value) {
  const int64_t at = index * bits;
  auto* bytes = static_cast<uint8_t*>(data) + at / 8;
  const int shift = static_cast<int>(at % 8);
  const unsigned mask = ((1U << bits) - 1U) << static_cast<unsigned>(shift);
  const unsigned shifted = (static_cast<unsigned>(value) << static_cast<unsigned>(shift)) & mask;
  bytes[0] = static_cast<uint8_t>((bytes[0] & ~mask) | shifted);
  if (shift + bits > 8) bytes[1] = static_cast<uint8_t>((bytes[1] & ~(mask >> 8U)) | shifted >> 8U);
}

}  // namespace tercel
