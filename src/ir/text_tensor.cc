#include "src/ir/text_tensor.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

#include "src/base/fail.h"
#include "src/base/packed.h"

namespace tercel::ir {
namespace {

enum class Form { signed_integer, unsigned_integer, f32, f64, string };

// How the elements of a type are written, each of how many bytes.
struct Notation {
  Form form;
  std::size_t width;
};

Notation notation_of(Dtype dtype) {
  const auto width = std::max<std::size_t>(1, static_cast<std::size_t>(bits_of(dtype)) / 8);
  switch (dtype) {
    case Dtype::f32:
    case Dtype::c64:
      return {Form::f32, 4};
    case Dtype::f64:
    case Dtype::c128:
      return {Form::f64, 8};
    case Dtype::string:
      return {Form::string, 0};
    case Dtype::i8:
    case Dtype::i16:
    case Dtype::i32:
    case Dtype::i64:
      return {Form::signed_integer, width};
    default:
      return {Form::unsigned_integer, width};
  }
}

// Elements of 6 bits, which do not fill bytes evenly, are written one by one.
bool is_spread(Dtype dtype) { return bits_of(dtype) == 6; }

// Of the written numbers: two for each complex element, one for each byte of packed ones.
std::size_t written_count(const Notation& notation, Dtype dtype, int64_t count) {
  return notation.form == Form::string || is_spread(dtype)
             ? static_cast<std::size_t>(count)
             : bytes_of(dtype, count) / notation.width;
}

Tensor from_written(const std::string& bytes, Dtype dtype, const Shape& shape) {
  Tensor tensor(dtype, shape);
  if (bytes.empty()) return tensor;
  if (!is_spread(dtype)) {
    std::memcpy(tensor.data(), bytes.data(), bytes.size());
    return tensor;
  }
  std::memset(tensor.data(), 0, tensor.bytes());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    set_packed_element(tensor.data(), static_cast<int64_t>(i), bits_of(dtype),
                       static_cast<uint8_t>(bytes[i]));
  }
  return tensor;
}

uint64_t scan_bits(Scanner& scanner, const Notation& notation) {
  const auto number = scanner.number();
  const int bits = static_cast<int>(8 * notation.width);
  uint64_t value = 0;
  if (notation.form == Form::f32) {
    const auto real = scanner.to<float>(number);
    std::memcpy(&value, &real, sizeof(real));
  } else if (notation.form == Form::f64) {
    const auto real = scanner.to<double>(number);
    std::memcpy(&value, &real, sizeof(real));
  } else if (notation.form == Form::unsigned_integer && number.text.front() != '-') {
    value = scanner.to<uint64_t>(number);
    if (bits < 64 && value >> bits != 0) scanner.fail_expecting("an integer that fits");
  } else {
    const auto integer = scanner.to<int64_t>(number);
    const int64_t limit = bits < 64 ? int64_t{1} << (bits - 1) : 0;
    if (bits < 64 && (integer < -limit || integer >= limit)) {
      scanner.fail_expecting("an integer that fits");
    }
    value = static_cast<uint64_t>(integer);
  }
  return value;
}

template <class T>
T load(const void* data, std::size_t index) {
  T value;
  std::memcpy(&value, static_cast<const std::byte*>(data) + index * sizeof(T), sizeof(T));
  return value;
}

void append_number(std::string& text, const Notation& notation, const void* data, std::size_t i) {
  const auto out = std::back_inserter(text);
  const bool negative = notation.form == Form::signed_integer;
  if (notation.form == Form::f32) {
    fmt::format_to(out, "{}", load<float>(data, i));
  } else if (notation.form == Form::f64) {
    fmt::format_to(out, "{}", load<double>(data, i));
  } else if (notation.width == 8) {
    negative ? fmt::format_to(out, "{}", load<int64_t>(data, i))
             : fmt::format_to(out, "{}", load<uint64_t>(data, i));
  } else if (notation.width == 4) {
    negative ? fmt::format_to(out, "{}", load<int32_t>(data, i))
             : fmt::format_to(out, "{}", load<uint32_t>(data, i));
  } else if (notation.width == 2) {
    negative ? fmt::format_to(out, "{}", load<int16_t>(data, i))
             : fmt::format_to(out, "{}", load<uint16_t>(data, i));
  } else {
    fmt::format_to(out, "{}", negative ? int{load<int8_t>(data, i)} : int{load<uint8_t>(data, i)});
  }
}

}  // namespace

Tensor scan_elements(Scanner& scanner, const Type& type) {
  const auto shape = type.shape();
  if (type.kind != Type::Kind::tensor || !shape) scanner.fail_expecting("a tensor of known shape");
  const Notation notation = notation_of(type.dtype);
  std::vector<std::string> strings;
  std::string bytes;
  scanner.expect('{');
  std::size_t found = 0;
  while (!scanner.accept('}')) {
    if (found > 0) scanner.expect(',');
    if (scanner.peek() == '.') scanner.fail_expecting("all values; they were left out here");
    if (notation.form == Form::string) {
      strings.push_back(scanner.quoted());
    } else {
      const uint64_t bits = scan_bits(scanner, notation);
      bytes.append(reinterpret_cast<const char*>(&bits), notation.width);
    }
    ++found;
  }
  std::size_t expected = SIZE_MAX;
  try {
    expected = written_count(notation, type.dtype, element_count(*shape));
  } catch (const Error&) {
    scanner.fail_expecting("a shape that fits into memory");
  }
  if (found != expected) {
    scanner.fail_expecting(fmt::format("{} values before this, not {}", expected, found));
  }
  if (notation.form == Form::string) return Tensor::from_strings(std::move(strings), *shape);
  return from_written(bytes, type.dtype, *shape);
}

void append_elements(std::string& text, const Tensor& tensor, int64_t max_elements) {
  const Notation notation = notation_of(tensor.dtype());
  const int64_t shown = std::min(tensor.size(), std::max<int64_t>(max_elements, 0));
  const std::size_t count = written_count(notation, tensor.dtype(), shown);
  text += '{';
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text += ", ";
    if (notation.form == Form::string) {
      append_quoted(text, tensor.strings()[i]);
    } else if (is_spread(tensor.dtype())) {
      text += std::to_string(packed_element(tensor.data(), static_cast<int64_t>(i), 6));
    } else {
      append_number(text, notation, tensor.data(), i);
    }
  }
  if (shown < tensor.size()) text += count > 0 ? ", ..." : "...";
  text += '}';
}

void append_quoted(std::string& text, std::string_view value) {
  text += '"';
  for (const char c : value) {
    if (c == '\\' || c == '"') text += '\\';
    text += c;
  }
  text += '"';
}

}  // namespace tercel::ir
