#include "cli/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>

#include "cli/files.h"

namespace tercel::cli {
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

[[noreturn]] void malformed(const std::filesystem::path& path, std::string_view what) {
  throw Error(Errc::invalid_file,
              fmt::format("{}: {}; expected an array that numpy.save wrote", path.string(), what));
}

// What follows `key` in the header's dictionary.
std::string_view value_of(const std::filesystem::path& path, std::string_view header,
                          std::string_view key) {
  const std::size_t at = header.find(key);
  if (at == std::string_view::npos) malformed(path, fmt::format("no {} in its header", key));
  header.remove_prefix(at + key.size());
  header.remove_prefix(std::min(header.find_first_not_of(": "), header.size()));
  return header;
}

Dtype parse_type(const std::filesystem::path& path, std::string_view text) {
  const char quote = text.empty() ? ' ' : text.front();
  const std::size_t end = text.find(quote, 1);
  if ((quote != '\'' && quote != '"') || end == std::string_view::npos || end < 3) {
    malformed(path, "its elements have no simple type");
  }
  const char order = text[1];
  const std::string_view name = text.substr(2, end - 2);
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeName& type) { return type.name == name; });
  if (row == std::end(kTypes) || (order != '<' && order != '|' && order != '=')) {
    throw Error(Errc::unsupported,
                fmt::format("{}: elements of type {} are not read; convert with .astype first",
                            path.string(), text.substr(1, end - 1)));
  }
  return row->dtype;
}

Shape parse_shape(const std::filesystem::path& path, std::string_view text) {
  if (!text.starts_with('(')) malformed(path, "its shape is no tuple");
  text = text.substr(1, text.find(')') - 1);
  Shape shape;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(", "), text.size()));
    if (text.empty()) return shape;
    int64_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || size < 0 || shape.size() == kMaxRank) {
      malformed(path, "its shape is wrong");
    }
    shape.push_back(size);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path), file_(path, std::ios::binary) {
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) {
      throw Error(Errc::not_found,
                  fmt::format("{}: no such file; give one that numpy.save wrote", path.string()));
    }
    left_ = std::filesystem::file_size(path, error);
  }

  std::size_t left() const { return left_; }

  void read(void* out, std::size_t count) {
    if (count > left_ ||
        !file_.read(static_cast<char*>(out), static_cast<std::streamsize>(count))) {
      malformed(path_, "it ends too early");
    }
    left_ -= count;
  }

 private:
  const std::filesystem::path& path_;
  std::ifstream file_;
  std::size_t left_ = 0;
};

std::string read_header(const std::filesystem::path& path, Reader& reader) {
  char start[8];
  reader.read(start, sizeof start);
  const int version = start[6];
  if (std::string_view(start, kMagic.size()) != kMagic || version < 1 || version > 3) {
    malformed(path, "not an .npy file");
  }
  unsigned char length[4] = {};
  reader.read(length, version == 1 ? 2 : 4);
  const std::size_t size = length[0] | (length[1] << 8) | (length[2] << 16) |
                           (static_cast<std::size_t>(length[3]) << 24);
  if (size > std::min(kMaxHeader, reader.left())) malformed(path, "its header is too long");
  std::string header(size, '\0');
  reader.read(header.data(), size);
  return header;
}

Tensor widened(const Tensor& tensor) {
  Tensor result(Dtype::f32, tensor.shape());
  const auto* from = static_cast<const uint16_t*>(tensor.data());
  std::transform(from, from + tensor.size(), result.values<float>().begin(), [](uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  });
  return result;
}

std::string header_of(const Tensor& tensor, std::string_view type) {
  std::string shape;
  for (const int64_t size : tensor.shape()) shape += fmt::format("{}, ", size);
  if (tensor.rank() > 1) shape.erase(shape.size() - 2);
  if (tensor.rank() == 1) shape.pop_back();
  std::string dictionary =
      fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                  type.back() == '1' ? '|' : '<', type, shape);
  constexpr std::size_t kAlignment = 64;
  const std::size_t before = kMagic.size() + 4;
  dictionary.append(kAlignment - (before + dictionary.size() + 1) % kAlignment, ' ');
  dictionary += '\n';
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(dictionary.size() & 0xFF),
             static_cast<char>(dictionary.size() >> 8)};
  return header + dictionary;
}

}  // namespace

Tensor read_npy(const std::filesystem::path& path) {
  Reader reader(path);
  const std::string header = read_header(path, reader);
  const Dtype dtype = parse_type(path, value_of(path, header, "'descr'"));
  const Shape shape = parse_shape(path, value_of(path, header, "'shape'"));
  if (value_of(path, header, "'fortran_order'").starts_with("True") && shape.size() > 1) {
    throw Error(Errc::unsupported, fmt::format("{}: the array is in Fortran order; save it with "
                                               "numpy.ascontiguousarray",
                                               path.string()));
  }
  const std::size_t size = bytes_of(dtype, element_count(shape));
  if (size != reader.left()) {
    malformed(path, fmt::format("{} bytes of elements where {} of {} take {}", reader.left(),
                                to_string(shape), to_string(dtype), size));
  }
  Tensor tensor(dtype, shape);
  if (size > 0) reader.read(tensor.data(), size);
  if (dtype == Dtype::boolean) {
    auto* bytes = static_cast<unsigned char*>(tensor.data());
    std::transform(bytes, bytes + size, bytes, [](unsigned char b) { return b != 0 ? 1 : 0; });
  }
  return tensor;
}

void check_npy_dtype(const Tensor& tensor, std::string_view name) {
  const bool known = std::any_of(std::begin(kTypes), std::end(kTypes), [&](const TypeName& type) {
    return type.dtype == tensor.dtype();
  });
  if (known || tensor.dtype() == Dtype::bf16) return;
  throw Error(Errc::unsupported, fmt::format("{}: numpy's files have no elements of type {}", name,
                                             to_string(tensor.dtype())));
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  check_npy_dtype(tensor, path.string());
  if (tensor.dtype() == Dtype::bf16) return write_npy(path, widened(tensor));
  const auto row = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const TypeName& type) { return type.dtype == tensor.dtype(); });
  std::string bytes = header_of(tensor, row->name);
  bytes.append(static_cast<const char*>(tensor.data()), tensor.bytes());
  write_file(path, bytes);
}

}  // namespace tercel::cli
