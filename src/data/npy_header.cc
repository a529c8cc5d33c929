#include "src/data/npy_header.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "src/base/fail.h"

namespace tercel::data {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeader = std::size_t{1} << 20;
constexpr std::size_t kMaxRank = 32;

struct TypeName {
  std::string_view name;  // without the byte order
  Dtype dtype;
};
constexpr TypeName kTypes[] = {{"f2", Dtype::f16}, {"f4", Dtype::f32}, {"f8", Dtype::f64},
                               {"i1", Dtype::i8},  {"i2", Dtype::i16}, {"i4", Dtype::i32},
                               {"i8", Dtype::i64}, {"u1", Dtype::u8},  {"u2", Dtype::u16},
                               {"u4", Dtype::u32}, {"u8", Dtype::u64}, {"b1", Dtype::boolean}};

// What follows `key` in the header's dictionary.
std::string_view value_of(const std::string& file, std::string_view header, std::string_view key) {
  const std::size_t at = header.find(key);
  if (at == std::string_view::npos) malformed_npy(file, fmt::format("no {} in its header", key));
  header.remove_prefix(at + key.size());
  header.remove_prefix(std::min(header.find_first_not_of(": "), header.size()));
  return header;
}

Dtype parse_type(const std::string& file, std::string_view text) {
  const char quote = text.empty() ? ' ' : text.front();
  const std::size_t end = text.find(quote, 1);
  if ((quote != '\'' && quote != '"') || end == std::string_view::npos || end < 3) {
    malformed_npy(file, "its elements have no simple type");
  }
  const char order = text[1];
  const std::string_view name = text.substr(2, end - 2);
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeName& type) { return type.name == name; });
  if (row == std::end(kTypes) || (order != '<' && order != '|' && order != '=')) {
    fail(Errc::unsupported, "{}: elements of type {} are not read; convert with .astype first",
         file, text.substr(1, end - 1));
  }
  return row->dtype;
}

Shape parse_shape(const std::string& file, std::string_view text) {
  if (!text.starts_with('(')) malformed_npy(file, "its shape is no tuple");
  text = text.substr(1, text.find(')') - 1);
  Shape shape;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(", "), text.size()));
    if (text.empty()) return shape;
    int64_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || size < 0 || shape.size() == kMaxRank) {
      malformed_npy(file, "its shape is wrong");
    }
    shape.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
}

std::string dictionary_text(const std::string& file, ReadBytes read) {
  char start[8];
  if (!read(start, sizeof start)) malformed_npy(file, "it ends too early");
  const int version = start[6];
  if (std::string_view(start, kMagic.size()) != kMagic || version < 1 || version > 3) {
    malformed_npy(file, "not an .npy file");
  }
  unsigned char length[4] = {};
  if (!read(length, version == 1 ? 2 : 4)) malformed_npy(file, "it ends too early");
  const std::size_t size = length[0] | (length[1] << 8) | (length[2] << 16) |
                           (static_cast<std::size_t>(length[3]) << 24);
  if (size > kMaxHeader) malformed_npy(file, "its header is too long");
  std::string header(size, '\0');
  if (!read(header.data(), size)) malformed_npy(file, "it ends too early");
  return header;
}

}  // namespace

void malformed_npy(const std::string& name, std::string_view what) {
  fail(Errc::invalid_file, "{}: {}; expected an array that numpy.save wrote", name, what);
}

NpyHeader read_npy_header(const std::string& name, ReadBytes read) {
  const std::string text = dictionary_text(name, read);
  NpyHeader header{parse_type(name, value_of(name, text, "'descr'")),
                   parse_shape(name, value_of(name, text, "'shape'"))};
  const bool fortran = value_of(name, text, "'fortran_order'").starts_with("True");
  if (fortran && header.shape.size() > 1) {
    fail(Errc::unsupported,
         "{}: the array is in Fortran order; save it with numpy.ascontiguousarray", name);
  }
  return header;
}

std::string npy_header(Dtype dtype, const Shape& shape, std::size_t room) {
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeName& type) { return type.dtype == dtype; });
  if (row == std::end(kTypes)) {
    fail(Errc::unsupported, "numpy's files have no elements of type {}", to_string(dtype));
  }
  std::string sizes;
  for (const int64_t size : shape) sizes += fmt::format("{}, ", size);
  if (shape.size() > 1) sizes.erase(sizes.size() - 2);
  if (shape.size() == 1) sizes.pop_back();
  std::string dictionary =
      fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                  row->name.back() == '1' ? '|' : '<', row->name, sizes);
  constexpr std::size_t kAlignment = 64;
  const std::size_t before = kMagic.size() + 4;
  const std::size_t least = before + dictionary.size() + 1;
  const std::size_t total = std::max(room, (least + kAlignment - 1) / kAlignment * kAlignment);
  dictionary.append(total - least, ' ');
  dictionary += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(dictionary.size() & 0xFF),
             static_cast<char>(dictionary.size() >> 8)};
  return header + dictionary;
}

void normalize_booleans(Tensor& tensor) {
  if (tensor.dtype() != Dtype::boolean) return;
  auto* bytes = static_cast<unsigned char*>(tensor.data());
  std::transform(bytes, bytes + tensor.bytes(), bytes,
                 [](unsigned char byte) { return byte != 0 ? 1 : 0; });
}

}  // namespace tercel::data
