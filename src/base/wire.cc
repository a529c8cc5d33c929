#include "src/base/wire.h"

#include <bit>

#include <protozero/exception.hpp>
#include <protozero/varint.hpp>

#include "src/base/fail.h"
#include "src/base/utf8.h"

static_assert(std::endian::native == std::endian::little, "protobuf's numbers are little-endian");

namespace tercel {

using protozero::pbf_wire_type;

void WireReader::malformed(std::string_view expected) const {
  const auto at = reinterpret_cast<const std::byte*>(data_) - source_->bytes.data();
  fail(Errc::invalid_file, "{}: byte {}: expected {}; the file is damaged or is not {}",
       source_->name, at, expected, source_->kind);
}

uint64_t WireReader::varint() {
  try {
    return protozero::decode_varint(&data_, end_);
  } catch (const protozero::exception&) {
    malformed("a number");
  }
}

void WireReader::require(pbf_wire_type type) {
  if (type_ != type) malformed("another kind of field");
}

bool WireReader::next() {
  if (data_ == end_) return false;
  const uint64_t key = varint();
  field_ = static_cast<uint32_t>(key >> 3U);
  type_ = static_cast<pbf_wire_type>(key & 7U);
  if (key > UINT32_MAX || field_ == 0) malformed("a field");
  switch (type_) {
    case pbf_wire_type::varint:
    case pbf_wire_type::fixed64:
    case pbf_wire_type::length_delimited:
    case pbf_wire_type::fixed32:
      return true;
    default:
      malformed("a field");
  }
}

void WireReader::skip() {
  switch (type_) {
    case pbf_wire_type::varint:
      varint();
      return;
    case pbf_wire_type::fixed64:
      return fixed<uint64_t>([](uint64_t) {});
    case pbf_wire_type::fixed32:
      return fixed<uint32_t>([](uint32_t) {});
    default:
      bytes();
  }
}

int64_t WireReader::integer() {
  require(pbf_wire_type::varint);
  return static_cast<int64_t>(varint());
}

float WireReader::f32() {
  float value = 0;
  require(pbf_wire_type::fixed32);
  fixed<float>([&](float read) { value = read; });
  return value;
}

std::span<const std::byte> WireReader::bytes() {
  require(pbf_wire_type::length_delimited);
  const uint64_t length = varint();
  if (length > size()) malformed(fmt::format("{} more bytes", length));
  const auto* begin = reinterpret_cast<const std::byte*>(data_);
  data_ += length;
  return {begin, static_cast<std::size_t>(length)};
}

std::string_view WireReader::text() {
  const auto found = bytes();
  return {reinterpret_cast<const char*>(found.data()), found.size()};
}

std::string_view WireReader::name() {
  const auto found = text();
  if (!is_utf8(found)) malformed("a name in UTF-8");
  return found;
}

}  // namespace tercel
