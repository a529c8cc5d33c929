#include "src/text/regex/pattern_reader.h"

#include "src/text/regex/unicode_sets.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

constexpr std::size_t kMaxPattern = 32768;

std::string to_utf8(std::u32string_view text) {
  std::string result;
  for (const char32_t code : text) append_utf8(result, code);
  return result;
}

uint32_t digit_value(char32_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return 16;
}

bool is_ascii_alphanumeric(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

PatternReader::PatternReader(std::string_view pattern) : pattern_(pattern) {
  if (pattern.size() > kMaxPattern) {
    fail(Errc::unsupported, "a regular expression has {} bytes; at most {} are supported",
         pattern.size(), kMaxPattern);
  }
  text_ = to_utf32(pattern);
}

bool PatternReader::accept(std::u32string_view prefix) {
  if (!starts_with(prefix)) return false;
  at_ += prefix.size();
  return true;
}

char32_t PatternReader::next() {
  if (at_end()) malformed(at_, "the pattern ends too early");
  return text_[at_++];
}

std::string PatternReader::until(char32_t end) {
  const std::size_t found = text_.find(end, at_);
  if (found == text_.npos) {
    malformed(at_, fmt::format("expected a \"{}\"", static_cast<char>(end)));
  }
  std::string result = to_utf8(std::u32string_view(text_).substr(at_, found - at_));
  at_ = found + 1;
  return result;
}

char32_t PatternReader::number(uint32_t base, std::size_t most, std::size_t& digits) {
  char32_t value = 0;
  for (; most > 0 && digit_value(peek()) < base && !at_end(); --most, ++digits) {
    value = value * base + digit_value(next());
  }
  return value;
}

char32_t PatternReader::read_code(std::size_t start, uint32_t base, std::size_t most) {
  std::size_t digits = 0;
  const char32_t code = number(base, most, digits);
  if (digits == 0) malformed(start, "expected a hexadecimal number");
  if (code > CharSet::kLast || (code >= 0xD800 && code < 0xE000)) {
    malformed(start, "this is not the number of a character");
  }
  return code;
}

CharSet PatternReader::read_property(bool negated) {
  const std::size_t start = position();
  if (!accept(U"{")) unsupported(start, "\\p without {…} is not supported: write \\p{L}");
  if (accept(U"^")) negated = !negated;
  const std::string name = until(U'}');
  const auto set = find_property(name);
  if (!set) {
    unsupported(start, fmt::format("there is no property \"{}\"; known are general categories, "
                                   "scripts and POSIX classes",
                                   name));
  }
  return negated ? ~*set : *set;
}

PatternReader::Escape PatternReader::read_escape() {
  const std::size_t start = position() - 1;
  const auto one = [](char32_t code) { return Escape{false, {}, code}; };
  const auto in = [](const CharSet& set) { return Escape{true, set, 0}; };
  const char32_t c = next();
  switch (c) {
    case 't':
      return one('\t');
    case 'n':
      return one('\n');
    case 'r':
      return one('\r');
    case 'f':
      return one('\f');
    case 'v':
      return one('\v');
    case 'a':
      return one('\a');
    case 'e':
      return one(0x1B);
    case 's':
      return in(white_space_set());
    case 'S':
      return in(~white_space_set());
    case 'd':
      return in(digit_set());
    case 'D':
      return in(~digit_set());
    case 'w':
      return in(word_set());
    case 'W':
      return in(~word_set());
    case 'h':
      return in(hex_digit_set());
    case 'H':
      return in(~hex_digit_set());
    case 'p':
      return in(read_property(false));
    case 'P':
      return in(read_property(true));
    case 'u':
      return one(read_code(start, 16, 4));
    case 'x': {
      if (accept(U"{")) {
        const char32_t code = read_code(start, 16, 8);
        if (!accept(U"}")) malformed(position(), "expected a \"}\"");
        return one(code);
      }
      const char32_t code = read_code(start, 16, 2);
      if (code > 0x7F) {
        unsupported(start, "bytes of UTF-8 are not supported: write the character as \\x{…}");
      }
      return one(code);
    }
    case '0': {
      std::size_t digits = 0;
      return one(number(8, 2, digits));
    }
    default:
      break;
  }
  if (is_ascii_alphanumeric(c)) {
    unsupported(start, fmt::format("\\{} is not supported", static_cast<char>(c)));
  }
  return one(c);
}

void PatternReader::malformed(std::size_t position, std::string_view why) const {
  refuse(Errc::invalid_file, position, why);
}

void PatternReader::unsupported(std::size_t position, std::string_view why) const {
  refuse(Errc::unsupported, position, why);
}

void PatternReader::refuse(Errc code, std::size_t position, std::string_view why) const {
  constexpr std::size_t kShown = 200;
  const bool is_long = text_.size() > kShown;
  fail(code, "the regular expression \"{}{}\", character {}: {}",
       is_long ? to_utf8(std::u32string_view(text_).substr(0, kShown)) : pattern_,
       is_long ? "…" : "", position, why);
}

}  // namespace tercel::text
