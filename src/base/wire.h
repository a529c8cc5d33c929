#pragma once
// Reading protobuf's wire format (https://protobuf.dev/programming-guides/encoding) from memory:
// varints by protozero, 64-bit lengths, and every wire type checked, since the bytes may be
// hostile. Errors are Errc::invalid_file with the byte's position in the whole file.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include <protozero/types.hpp>

namespace tercel {

// The whole file: where positions count from, and what messages call it.
struct WireSource {
  std::string name;
  std::span<const std::byte> bytes;
  std::string_view kind = "an ONNX model";
};

class WireReader {
 public:
  explicit WireReader(const WireSource& source) : WireReader(source, source.bytes) {}

  // The next field; false at the end. Each field must then be read or skipped.
  bool next();
  uint32_t field() const { return field_; }
  void skip();

  int64_t integer();
  float f32();
  std::span<const std::byte> bytes();
  std::string_view text();  // any bytes: documentation, values of attributes
  std::string_view name();  // UTF-8: identifiers
  WireReader message() { return {*source_, bytes()}; }

  // Calls `take` with every element of a repeated number, packed or not.
  template <class F>
  void integers(F&& take);
  template <class T, class F>
  void fixed(F&& take);

  std::size_t size() const { return static_cast<std::size_t>(end_ - data_); }
  const WireSource& source() const { return *source_; }

 private:
  WireReader(const WireSource& source, std::span<const std::byte> bytes)
      : source_(&source),
        data_(reinterpret_cast<const char*>(bytes.data())),
        end_(data_ + bytes.size()) {}

  uint64_t varint();
  void require(protozero::pbf_wire_type type);
  [[noreturn]] void malformed(std::string_view expected) const;

  const WireSource* source_;
  const char* data_;
  const char* end_;
  uint32_t field_ = 0;
  protozero::pbf_wire_type type_ = protozero::pbf_wire_type::unknown;
};

template <class F>
void WireReader::integers(F&& take) {
  if (type_ != protozero::pbf_wire_type::length_delimited) return take(integer());
  WireReader packed = message();
  while (packed.data_ != packed.end_) take(static_cast<int64_t>(packed.varint()));
}

template <class T, class F>
void WireReader::fixed(F&& take) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  constexpr auto kType =
      sizeof(T) == 4 ? protozero::pbf_wire_type::fixed32 : protozero::pbf_wire_type::fixed64;
  const char* begin = data_;
  std::size_t count = 1;
  if (type_ == protozero::pbf_wire_type::length_delimited) {
    const auto packed = bytes();
    if (packed.size() % sizeof(T) != 0) malformed("whole numbers in a packed field");
    begin = reinterpret_cast<const char*>(packed.data());
    count = packed.size() / sizeof(T);
  } else {
    require(kType);
    if (size() < sizeof(T)) malformed("a number");
    data_ += sizeof(T);
  }
  for (std::size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, begin + i * sizeof(T), sizeof(T));
    take(value);
  }
}

}  // namespace tercel
