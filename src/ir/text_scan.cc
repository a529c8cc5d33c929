#include "src/ir/text_scan.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "src/base/fail.h"

namespace tercel::ir {
namespace {

constexpr int kMaxTypeDepth = 64;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c != '\0' && std::strchr(" \t\n\v\f\r", c) != nullptr; }

bool is_number_word(std::string_view word) {
  std::string lower(word);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower == "nan" || lower == "inf" || lower == "infinity";
}

Dim scan_dim(Scanner& scanner) {
  if (scanner.accept('?')) return {};
  if (scanner.peek() == '"' || !scanner.peek_word().empty()) return Dim(scanner.name());
  const int64_t value = scanner.integer();
  if (value < 0) scanner.fail_expecting("a dimension");
  return Dim(value);
}

// After the element type: nothing is a scalar, [] an unknown rank.
std::optional<Dims> scan_dims(Scanner& scanner) {
  if (!scanner.accept('[')) return Dims();
  if (scanner.accept(']')) return std::nullopt;
  Dims dims;
  do {
    dims.push_back(scan_dim(scanner));
  } while (scanner.accept(','));
  scanner.expect(']');
  return dims;
}

Dtype scan_dtype(Scanner& scanner) {
  const auto dtype = dtype_of_word(scanner.peek_word());
  if (!dtype) scanner.fail_expecting("an element type");
  scanner.word();
  return *dtype;
}

Type scan_nested(Scanner& scanner, int depth) {
  if (depth > kMaxTypeDepth) scanner.fail_expecting("types less deeply nested");
  const std::string_view word = scanner.peek_word();
  if (dtype_of_word(word)) {
    const Dtype dtype = scan_dtype(scanner);
    return {Type::Kind::tensor, dtype, scan_dims(scanner), nullptr};
  }
  if (!begins_type(word)) scanner.fail_expecting("a type");
  const std::string container = scanner.word();
  scanner.expect('(');
  Type type;
  if (container == "sparse_tensor") {
    const Dtype dtype = scan_dtype(scanner);
    type = {Type::Kind::sparse_tensor, dtype, scan_dims(scanner), nullptr};
  } else {
    type.kind = container == "seq"   ? Type::Kind::sequence
                : container == "map" ? Type::Kind::map
                                     : Type::Kind::optional;
    if (type.kind == Type::Kind::map) {
      type.dtype = scan_dtype(scanner);
      scanner.expect(',');
    }
    type.element = std::make_shared<Type>(scan_nested(scanner, depth + 1));
  }
  scanner.expect(')');
  return type;
}

}  // namespace

std::optional<Dtype> dtype_of_word(std::string_view word) {
  const auto dtype = parse_dtype(word);
  return dtype && onnx_name(*dtype) == word ? dtype : std::nullopt;
}

bool begins_type(std::string_view word) {
  return word == "seq" || word == "map" || word == "optional" || word == "sparse_tensor" ||
         dtype_of_word(word);
}

bool is_word(std::string_view text) {
  return !text.empty() && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

bool is_plain_name(std::string_view text) {
  return is_word(text) && !begins_type(text) && !is_number_word(text);
}

Type scan_type(Scanner& scanner) { return scan_nested(scanner, 0); }

void Scanner::skip_space() {
  while (at_ < text_.size() && (is_space(text_[at_]) || text_[at_] == '#')) {
    if (text_[at_] == '#') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else {
      ++at_;
    }
  }
}

bool Scanner::at_end() {
  skip_space();
  return at_ >= text_.size();
}

char Scanner::peek() { return at_end() ? '\0' : text_[at_]; }

bool Scanner::accept(char character) {
  if (at_end() || text_[at_] != character) return false;
  ++at_;
  return true;
}

void Scanner::expect(char character) {
  if (!accept(character)) fail_expecting(fmt::format("'{}'", character));
}

void Scanner::expect_arrow() {
  if (at_end() || text_.substr(at_, 2) != "=>") fail_expecting("'=>'");
  at_ += 2;
}

std::string_view Scanner::peek_word() {
  skip_space();
  std::size_t end = at_;
  while (end < text_.size() && (is_letter(text_[end]) || (end > at_ && is_digit(text_[end])))) {
    ++end;
  }
  return text_.substr(at_, end - at_);
}

std::string Scanner::word() {
  const std::string_view found = peek_word();
  if (found.empty()) fail_expecting("a name");
  at_ += found.size();
  return std::string(found);
}

std::string Scanner::quoted() {
  if (peek() != '"') fail_expecting("text in double quotes");
  std::string value;
  std::size_t i = at_ + 1;
  for (; i < text_.size() && text_[i] != '"'; ++i) {
    if (text_[i] == '\\' && ++i == text_.size()) break;
    value += text_[i];
  }
  if (i >= text_.size()) fail_expecting("text that ends with a double quote");
  at_ = i + 1;
  return value;
}

bool Scanner::next_is_number() {
  const char next = peek();
  return next == '-' || is_digit(next) || is_number_word(peek_word());
}

Scanner::Number Scanner::number() {
  skip_space();
  std::size_t end = at_;
  const auto digits = [&] {
    const std::size_t begin = end;
    while (end < text_.size() && is_digit(text_[end])) ++end;
    return end > begin;
  };
  if (end < text_.size() && text_[end] == '-') ++end;
  bool integer = true;
  if (end < text_.size() && is_letter(text_[end])) {
    const std::size_t begin = end;
    while (end < text_.size() && is_letter(text_[end])) ++end;
    if (!is_number_word(text_.substr(begin, end - begin))) fail_expecting("a number");
    integer = false;
  } else {
    if (!digits()) fail_expecting("a number");
    // "..." after a number marks values that were left out.
    if (end < text_.size() && text_[end] == '.' && text_.substr(end, 2) != "..") {
      integer = false;
      ++end;
      digits();
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      integer = false;
      ++end;
      if (end < text_.size() && (text_[end] == '+' || text_[end] == '-')) ++end;
      if (!digits()) fail_expecting("a number");
    }
  }
  const std::string_view found = text_.substr(at_, end - at_);
  at_ = end;
  return {found, integer};
}

template <class T>
T Scanner::to(const Number& number) {
  T value{};
  const char* end = number.text.data() + number.text.size();
  const auto [stopped, error] = std::from_chars(number.text.data(), end, value);
  if (error != std::errc() || stopped != end) {
    at_ = static_cast<std::size_t>(number.text.data() - text_.data());
    fail_expecting(std::is_floating_point_v<T> ? "a number that fits" : "an integer that fits");
  }
  return value;
}

template int64_t Scanner::to<int64_t>(const Number&);
template uint64_t Scanner::to<uint64_t>(const Number&);
template float Scanner::to<float>(const Number&);
template double Scanner::to<double>(const Number&);

int64_t Scanner::integer() { return to<int64_t>(number()); }

void Scanner::fail_expecting(std::string_view what) {
  const std::string_view before = text_.substr(0, std::min(at_, text_.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  fail(Errc::invalid_file, "{}:{}:{}: expected {}", source_, line, before.size() - line_begin + 1,
       what);
}

}  // namespace tercel::ir
