#include "src/tasks/result_text.h"

#include <cmath>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/text/utf8.h"

namespace tercel::tasks {
namespace {

template <class T>
void append_number(std::string& out, T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) {
      out += "null";
      return;
    }
  }
  fmt::format_to(std::back_inserter(out), "{}", value);
}

template <class T>
void append_as(std::string& out, const Tensor& tensor, int64_t at) {
  append_number(out, static_cast<const T*>(tensor.data())[at]);
}

void append_element(std::string& out, const Tensor& tensor, int64_t at) {
  switch (tensor.dtype()) {
    case Dtype::f32:
      return append_as<float>(out, tensor, at);
    case Dtype::f64:
      return append_as<double>(out, tensor, at);
    case Dtype::f16:
      return append_number(out, to_float(static_cast<const f16*>(tensor.data())[at]));
    case Dtype::bf16:
      return append_number(out, to_float(static_cast<const bf16*>(tensor.data())[at]));
    case Dtype::i8:
      return append_number(out, int{static_cast<const int8_t*>(tensor.data())[at]});
    case Dtype::u8:
      return append_number(out, int{static_cast<const uint8_t*>(tensor.data())[at]});
    case Dtype::i32:
      return append_as<int32_t>(out, tensor, at);
    case Dtype::i64:
      return append_as<int64_t>(out, tensor, at);
    case Dtype::boolean:
      out += static_cast<const uint8_t*>(tensor.data())[at] != 0 ? "true" : "false";
      return;
    default:
      fail(Errc::unsupported, "elements of type {} are not written as JSON",
           to_string(tensor.dtype()));
  }
}

void append_nested(std::string& out, const Tensor& tensor, std::size_t axis, int64_t& at) {
  if (axis == tensor.shape().size()) return append_element(out, tensor, at++);
  out += '[';
  for (int64_t i = 0; i < tensor.shape()[axis]; ++i) {
    if (i > 0) out += ',';
    append_nested(out, tensor, axis + 1, at);
  }
  out += ']';
}

void append_escaped(std::string& out, std::string_view character) {
  const auto byte = static_cast<unsigned char>(character.front());
  if (character == "\"" || character == "\\") {
    out += '\\';
    out += character;
  } else if (byte == '\n') {
    out += "\\n";
  } else if (byte == '\t') {
    out += "\\t";
  } else if (byte == '\r') {
    out += "\\r";
  } else if (byte < 0x20) {
    fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
  } else {
    out += character;
  }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const text::CodePoint next = text::decode_first(text);
    const std::string_view bytes = text.substr(0, next.length);
    const bool ill_formed = next.code == text::kReplacement && bytes != "\xEF\xBF\xBD";
    append_escaped(out, ill_formed ? "\xEF\xBF\xBD" : bytes);
    text.remove_prefix(next.length);
  }
  out += '"';
}

void append_json_number(std::string& out, float value) { append_number(out, value); }

void append_json_tensor(std::string& out, const Tensor& tensor) {
  int64_t at = 0;
  append_nested(out, tensor, 0, at);
}

void append_json_value(std::string& out, const data::Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) {
    out += *flag ? "true" : "false";
  } else if (const auto* integer = std::get_if<int64_t>(&value)) {
    append_number(out, *integer);
  } else if (const auto* number = std::get_if<double>(&value)) {
    append_number(out, *number);
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    append_json_string(out, *text);
  } else if (const auto* tensor = std::get_if<Tensor>(&value)) {
    append_json_tensor(out, *tensor);
  } else if (const auto* json = std::get_if<data::JsonText>(&value)) {
    out += json->text;
  } else {
    out += "null";
  }
}

void append_csv_field(std::string& out, std::string_view text, char separator) {
  const bool plain = text.find_first_of("\"\r\n") == std::string_view::npos &&
                     text.find(separator) == std::string_view::npos;
  if (plain) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  out += '"';
}

std::string plain_text(const data::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (std::holds_alternative<std::monostate>(value)) return {};
  std::string out;
  append_json_value(out, value);
  return out;
}

}  // namespace tercel::tasks
