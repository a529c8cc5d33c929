#pragma once
// The alphabet of byte-level tokenizers (Radford et al., 2019): each of the 256 bytes is a visible
// character. Printable bytes stand for themselves, the other 68 for U+0100, U+0101, …

#include <array>
#include <cstdint>

namespace tercel::text {

inline constexpr char32_t kByteLevelEnd = 0x100 + 68;  // all characters of the alphabet are below

constexpr bool is_byte_level_printable(unsigned byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
}

// The character of each byte.
constexpr std::array<char32_t, 256> make_byte_level_chars() {
  std::array<char32_t, 256> chars{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    chars[byte] = is_byte_level_printable(byte) ? static_cast<char32_t>(byte) : next++;
  }
  return chars;
}
inline constexpr std::array<char32_t, 256> kByteLevelChars = make_byte_level_chars();

// The byte of each character below kByteLevelEnd; -1 for those outside the alphabet.
constexpr std::array<int16_t, kByteLevelEnd> make_byte_level_bytes() {
  std::array<int16_t, kByteLevelEnd> bytes{};
  for (int16_t& byte : bytes) byte = -1;
  for (unsigned byte = 0; byte < 256; ++byte) {
    bytes[kByteLevelChars[byte]] = static_cast<int16_t>(byte);
  }
  return bytes;
}
inline constexpr std::array<int16_t, kByteLevelEnd> kByteLevelBytes = make_byte_level_bytes();

}  // namespace tercel::text
