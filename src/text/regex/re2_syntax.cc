#include "src/text/regex/re2_syntax.h"

#include <algorithm>
#include <vector>

#include "src/base/fail.h"
#include "src/base/shown.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

struct Re2Flags {
  bool any_case = false;    // i
  bool multi_line = false;  // m
  bool dot_all = false;     // s
};

struct NamedClass {
  std::string_view name;
  std::string_view members;
};

constexpr std::string_view kWord = "0-9A-Za-z_";
constexpr NamedClass kPosix[] = {
    {"alnum", "0-9A-Za-z"},
    {"alpha", "A-Za-z"},
    {"ascii", R"(\x{0}-\x{7F})"},
    {"blank", R"(\t\x{20})"},
    {"cntrl", R"(\x{0}-\x{1F}\x{7F})"},
    {"digit", "0-9"},
    {"graph", R"(\x{21}-\x{7E})"},
    {"lower", "a-z"},
    {"print", R"(\x{20}-\x{7E})"},
    {"punct", R"(\x{21}-\x{2F}\x{3A}-\x{40}\x{5B}-\x{60}\x{7B}-\x{7E})"},
    {"space", R"(\t-\r\x{20})"},
    {"upper", "A-Z"},
    {"word", kWord},
    {"xdigit", "0-9A-Fa-f"},
};
constexpr std::string_view kSpace = R"(\t\n\f\r\x{20})";
constexpr std::string_view kBoundary =
    "(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))";
constexpr std::string_view kNoBoundary =
    "(?:(?<=[0-9A-Za-z_])(?=[0-9A-Za-z_])|(?<![0-9A-Za-z_])(?![0-9A-Za-z_]))";

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

class Translation {
 public:
  explicit Translation(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    out_ = R"(\A(?:)";
    while (at_ < pattern_.size()) read_item();
    if (!outer_.empty()) malformed("a group does not end");
    return out_ + R"()\z)";
  }

 private:
  [[noreturn]] void malformed(std::string_view why) const {
    fail(Errc::invalid_file, "the regular expression \"{}\", byte {}: {}", shown(pattern_), at_,
         why);
  }

  char peek() const { return at_ < pattern_.size() ? pattern_[at_] : '\0'; }
  bool accept(std::string_view text) {
    if (!pattern_.substr(at_).starts_with(text)) return false;
    at_ += text.size();
    return true;
  }
  char32_t next() {
    if (at_ >= pattern_.size()) malformed("the pattern ends too early");
    const CodePoint point = decode_first(pattern_.substr(at_));
    at_ += point.length;
    return point.code;
  }
  // Digits at this place, at most `most`; their number as a number of that base.
  uint32_t number(uint32_t base, std::size_t most, std::size_t least) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    uint32_t value = 0;
    std::size_t count = 0;
    for (; count < most && at_ < pattern_.size(); ++count, ++at_) {
      const char c = pattern_[at_];
      const auto digit = kDigits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c + 32) : c);
      if (digit >= base) break;
      value = value * base + static_cast<uint32_t>(digit);
    }
    if (count < least) malformed("expected a number");
    return value;
  }

  void put_atom(std::string_view atom) {
    out_ += atom;
    repeatable_ = true;
  }
  void put_cased(std::string_view atom) {
    put_atom(flags_.any_case ? fmt::format("(?i:{})", atom) : std::string(atom));
  }
  static std::string code_text(char32_t code) {
    return fmt::format(R"(\x{{{:X}}})", static_cast<uint32_t>(code));
  }

  void read_item() {
    const std::size_t start = at_;
    const char32_t c = next();
    switch (c) {
      case '|':
        out_ += '|';
        repeatable_ = false;
        return;
      case '(':
        return read_group();
      case ')':
        if (outer_.empty()) malformed("a \")\" without its \"(\"");
        flags_ = outer_.back();
        outer_.pop_back();
        return put_atom(")");
      case '[':
        return read_class();
      case '.':
        return put_atom(flags_.dot_all ? R"(\O)" : R"(\N)");
      case '^':
        return put_atom(flags_.multi_line ? R"((?:\A|(?<=\n)))" : R"(\A)");
      case '$':
        return put_atom(flags_.multi_line ? R"((?=\n|\z))" : R"(\z)");
      case '\\':
        return read_escape();
      case '*':
      case '+':
      case '?':
        return put_quantifier(pattern_.substr(start, 1));
      case '{':
        if (read_interval()) return;
        break;
      default:
        break;
    }
    put_cased(code_text(c));
  }

  // Lazy or not is the same for a match of the whole.
  void put_quantifier(std::string_view quantifier) {
    if (!repeatable_) malformed("there is nothing to repeat");
    out_ += quantifier;
    accept("?");
    repeatable_ = false;
  }

  // {n}, {n,} or {n,m}, whose brace was read; anything else stands for itself.
  bool read_interval() {
    constexpr std::size_t kMaxDigits = 4;
    constexpr uint32_t kMost = 1000;
    const std::size_t start = at_;
    const auto digits = [&] { return peek() >= '0' && peek() <= '9'; };
    if (!digits()) return false;
    const uint32_t least = number(10, kMaxDigits, 1);
    const bool comma = accept(",");
    const bool open = comma && !digits();
    const uint32_t most = comma && !open ? number(10, kMaxDigits, 1) : least;
    if (!accept("}")) {
      if (digits()) malformed("the number of repetitions is too large");
      at_ = start;
      return false;
    }
    if (most < least || most > kMost) malformed("this number of repetitions is not possible");
    put_quantifier(std::string("{").append(pattern_.substr(start, at_ - start)));
    return true;
  }

  void open_group() {
    out_ += "(?:";
    repeatable_ = false;
  }

  void read_group() {
    outer_.push_back(flags_);
    if (!accept("?")) return open_group();
    if (accept("P<") || (!pattern_.substr(at_).starts_with("<=") &&
                         !pattern_.substr(at_).starts_with("<!") && accept("<"))) {
      const std::size_t begin = at_;
      while (is_alphanumeric(peek()) || peek() == '_') ++at_;
      if (at_ == begin || !accept(">")) malformed("expected the name of a group");
      return open_group();
    }
    const Re2Flags inner = read_flags();
    if (accept(":")) {
      flags_ = inner;
      return open_group();
    }
    // To the end of the group around.
    if (!accept(")")) malformed("this kind of group is not in RE2's syntax");
    outer_.pop_back();
    flags_ = inner;
    repeatable_ = false;
  }

  Re2Flags read_flags() {
    Re2Flags flags = flags_;
    for (bool on = true;; ++at_) {
      switch (peek()) {
        case '-':
          if (!on) return flags;
          on = false;
          break;
        case 'i':
          flags.any_case = on;
          break;
        case 'm':
          flags.multi_line = on;
          break;
        case 's':
          flags.dot_all = on;
          break;
        case 'U':  // lazy or not is the same
          break;
        default:
          return flags;
      }
    }
  }

  void read_escape() {
    if (accept("A")) return put_atom(R"(\A)");
    if (accept("z")) return put_atom(R"(\z)");
    if (accept("b")) return put_atom(kBoundary);
    if (accept("B")) return put_atom(kNoBoundary);
    if (accept("Q")) {
      while (at_ < pattern_.size() && !accept(R"(\E)")) put_cased(code_text(next()));
      return;
    }
    const std::string set = read_set();
    put_cased(set.empty() ? code_text(read_escaped_code()) : set);
  }

  // \d, \pL and the like, whose backslash was read; empty when there is something else.
  std::string read_set() {
    if (accept("d")) return "[0-9]";
    if (accept("D")) return "[^0-9]";
    if (accept("w")) return fmt::format("[{}]", kWord);
    if (accept("W")) return fmt::format("[^{}]", kWord);
    if (accept("s")) return fmt::format("[{}]", kSpace);
    if (accept("S")) return fmt::format("[^{}]", kSpace);
    const char letter = peek();
    if (letter != 'p' && letter != 'P') return {};
    ++at_;
    std::string name;
    if (accept("{")) {
      while (peek() != '}') append_utf8(name, next());
      ++at_;
    } else {
      append_utf8(name, next());
    }
    if (name.find_first_of("{\\") != name.npos) malformed("expected the name of a property");
    return fmt::format("\\{}{{{}}}", letter, name);
  }

  char32_t read_escaped_code() {
    constexpr std::string_view kLetters = "afnrtv";
    constexpr std::string_view kCodes = "\a\f\n\r\t\v";
    const char letter = peek();
    if (const auto found = kLetters.find(letter); found != kLetters.npos && letter != '\0') {
      ++at_;
      return static_cast<char32_t>(kCodes[found]);
    }
    if (accept("x{")) {
      const char32_t code = number(16, 8, 1);
      if (!accept("}") || code > 0x10FFFF) malformed("expected the number of a character");
      return code;
    }
    if (accept("x")) return number(16, 2, 2);
    const bool octal = letter >= '0' && letter <= '7';
    const char second = at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0';
    if (octal && (letter == '0' || (second >= '0' && second <= '7'))) return number(8, 3, 1);
    if (is_alphanumeric(letter)) malformed("this escape is not in RE2's syntax");
    return next();
  }

  void read_class() {
    std::string set = accept("^") ? "[^" : "[";
    for (bool first = true; first || !accept("]"); first = false) read_member(set);
    put_cased(set + "]");
  }

  void read_member(std::string& set) {
    if (accept("[:")) return read_posix(set);
    if (accept("\\")) {
      if (const std::string named = read_set(); !named.empty()) {
        set += named;
        return;
      }
      --at_;
    }
    const char32_t low = read_class_code();
    set += code_text(low);
    if (peek() != '-' || pattern_.substr(at_).starts_with("-]")) return;
    ++at_;
    const char32_t high = read_class_code();
    if (high < low) malformed("the range is empty");
    set += "-" + code_text(high);
  }

  char32_t read_class_code() { return accept("\\") ? read_escaped_code() : next(); }

  void read_posix(std::string& set) {
    const bool negated = accept("^");
    const auto* const known = std::find_if(
        std::begin(kPosix), std::end(kPosix),
        [&](const NamedClass& named) { return accept(fmt::format("{}:]", named.name)); });
    if (known == std::end(kPosix)) malformed("expected the name of a class, as [:alpha:]");
    set += fmt::format("[{}{}]", negated ? "^" : "", known->members);
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::string out_;
  Re2Flags flags_;
  std::vector<Re2Flags> outer_;  // of the groups around
  bool repeatable_ = false;
};

}  // namespace

std::string full_match_of_re2(std::string_view pattern) { return Translation(pattern).run(); }

}  // namespace tercel::text
