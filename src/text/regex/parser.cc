#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "src/text/regex/pattern_reader.h"
#include "src/text/regex/syntax.h"
#include "src/text/regex/unicode_sets.h"

namespace tercel::text {
namespace {

using Kind = RegexNode::Kind;

// Over 400 lines: one recursive descent, whose functions call one another and share the reader, the
// flags and the sets.

constexpr std::size_t kMaxDepth = 100;
constexpr std::size_t kMaxStackedQuantifiers = 16;
constexpr uint32_t kMaxCount = 100000;

struct Flags {
  bool any_case = false;  // i
  bool dot_all = false;   // m
  bool spaced = false;    // x
};

struct Quantifier {
  uint32_t min;
  uint32_t max;
  bool lazy = false;
  bool possessive = false;
};

class Parser {
 public:
  explicit Parser(std::string_view pattern) : reader_(pattern) {}

  ParsedRegex parse() {
    ParsedRegex result;
    result.root = parse_choice({}, 0);
    if (!reader_.at_end()) reader_.malformed(reader_.position(), "a \")\" without its \"(\"");
    result.sets = std::move(sets_);
    return result;
  }

 private:
  RegexNode parse_choice(Flags flags, std::size_t depth);
  RegexNode parse_sequence(Flags flags, std::size_t depth);
  RegexNode parse_atom(Flags flags, std::size_t depth, bool& rest_of_group);
  RegexNode parse_group(Flags flags, std::size_t depth, bool& rest_of_group);
  RegexNode parse_escape(Flags flags);
  bool read_flags(Flags& flags);
  std::optional<Quantifier> read_quantifier();
  std::optional<Quantifier> read_interval();
  void skip_space(Flags flags);

  RegexNode one_of(const CharSet& set);
  RegexNode literal(char32_t code, Flags flags);
  RegexNode anchor(char32_t letter);
  RegexNode look_behind_any(const RegexNode& node, bool negated, std::size_t start);
  RegexNode quantified(RegexNode child, const Quantifier& quantifier, std::size_t start);
  // The child, which gives nothing back once it has matched.
  RegexNode atomic(RegexNode child, std::size_t start);
  void check_long_folds(std::u32string& run, char32_t code);

  PatternReader reader_;
  std::vector<CharSet> sets_;
  std::map<std::size_t, std::vector<uint32_t>> sets_by_size_;
  std::optional<char32_t> last_literal_;  // the last atom, if it is one character
};

RegexNode sequence(std::vector<RegexNode> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  RegexNode node;
  if (parts.empty()) return node;
  node.kind = Kind::sequence;
  node.nullable =
      std::all_of(parts.begin(), parts.end(), [](const RegexNode& part) { return part.nullable; });
  node.parts = std::move(parts);
  return node;
}

RegexNode choice(std::vector<RegexNode> parts) {
  if (parts.size() == 1) return std::move(parts.front());
  RegexNode node;
  node.kind = Kind::choice;
  node.nullable =
      std::any_of(parts.begin(), parts.end(), [](const RegexNode& part) { return part.nullable; });
  node.parts = std::move(parts);
  return node;
}

RegexNode look(Kind kind, bool negated) {
  RegexNode node;
  node.kind = kind;
  node.negated = negated;
  return node;
}

RegexNode look_ahead(RegexNode child, bool negated) {
  RegexNode node = look(Kind::look_ahead, negated);
  node.parts.push_back(std::move(child));
  return node;
}

RegexNode repeat(RegexNode child, const Quantifier& quantifier) {
  RegexNode node;
  // (x*)* and (x?)* are x*, in the order of the alternatives too.
  const bool greedy = !quantifier.lazy && quantifier.max == RegexNode::kUnbounded;
  if (greedy && quantifier.min <= 1 && child.kind == Kind::repeat && !child.lazy &&
      child.min <= 1 && (child.max == 1 || child.max == RegexNode::kUnbounded)) {
    child.min = std::min(child.min, quantifier.min);
    child.max = RegexNode::kUnbounded;
    child.nullable = child.min == 0 || child.parts.front().nullable;
    return child;
  }
  node.kind = Kind::repeat;
  node.min = quantifier.min;
  node.max = quantifier.max;
  node.lazy = quantifier.lazy;
  node.nullable = quantifier.min == 0 || child.nullable;
  node.parts.push_back(std::move(child));
  return node;
}

RegexNode Parser::one_of(const CharSet& set) {
  RegexNode node;
  node.kind = Kind::one_of;
  node.nullable = false;
  std::vector<uint32_t>& same_size = sets_by_size_[set.ranges().size()];
  const auto known = std::find_if(same_size.begin(), same_size.end(),
                                  [&](uint32_t index) { return sets_[index] == set; });
  if (known != same_size.end()) {
    node.set = *known;
    return node;
  }
  node.set = static_cast<uint32_t>(sets_.size());
  same_size.push_back(node.set);
  sets_.push_back(set);
  return node;
}

RegexNode Parser::literal(char32_t code, Flags flags) {
  CharSet set({{code, code}});
  last_literal_ = code;
  if (!flags.any_case) return one_of(set);
  if (has_long_fold(set)) {
    reader_.unsupported(reader_.position() - 1,
                        "without regard to case, this character is also several; that is not "
                        "supported");
  }
  return one_of(close_over_case(set));
}

// "ss" without regard to case is also one character, which a sequence of sets cannot say.
void Parser::check_long_folds(std::u32string& run, char32_t code) {
  constexpr std::size_t kLongestFold = 3;
  run += code;
  if (run.size() > kLongestFold) run.erase(0, 1);
  for (std::size_t length = 2; length <= run.size(); ++length) {
    if (!folds_to_one(std::u32string_view(run).substr(run.size() - length))) continue;
    reader_.unsupported(reader_.position() - length,
                        "without regard to case, these characters are also one character (as "
                        "\"ss\" and \"ß\"); that is not supported");
  }
}

RegexNode Parser::anchor(char32_t letter) {
  const auto all = [&] { return one_of(CharSet::all()); };
  const auto line_feed = [&] { return one_of(CharSet({{'\n', '\n'}})); };
  const auto behind = [&](const RegexNode& node, bool negated) {
    RegexNode result = look(Kind::look_behind, negated);
    result.set = node.set;
    return result;
  };
  switch (letter) {
    case 'A':
      return behind(all(), true);
    case 'z':
      return look_ahead(all(), true);
    case 'Z': {
      std::vector<RegexNode> parts;
      parts.push_back(repeat(line_feed(), {0, 1}));
      parts.push_back(look_ahead(all(), true));
      return look_ahead(sequence(std::move(parts)), false);
    }
    case '^': {
      std::vector<RegexNode> after_line_feed;
      after_line_feed.push_back(behind(line_feed(), false));
      after_line_feed.push_back(look_ahead(all(), false));
      std::vector<RegexNode> parts;
      parts.push_back(behind(all(), true));
      parts.push_back(sequence(std::move(after_line_feed)));
      return choice(std::move(parts));
    }
    case '$':
      return look_ahead(one_of(~CharSet({{'\n', '\n'}})), true);
    default:
      break;  // b and B
  }
  const RegexNode word = one_of(word_set());
  std::vector<RegexNode> parts;
  for (const bool inside : {true, false}) {
    std::vector<RegexNode> both;
    both.push_back(behind(word, !inside));
    both.push_back(look_ahead(word, inside == (letter == 'b')));
    parts.push_back(sequence(std::move(both)));
  }
  return choice(std::move(parts));
}

bool is_zero_width(const RegexNode& node) {
  if (node.kind == Kind::look_ahead || node.kind == Kind::look_behind) return true;
  return (node.kind == Kind::sequence || node.kind == Kind::choice) &&
         std::all_of(node.parts.begin(), node.parts.end(), is_zero_width);
}

RegexNode Parser::look_behind_any(const RegexNode& node, bool negated, std::size_t start) {
  if (is_zero_width(node)) return negated ? look_ahead(node, true) : node;
  if (node.kind == Kind::one_of) {
    RegexNode result = look(Kind::look_behind, negated);
    result.set = node.set;
    return result;
  }
  if (node.kind != Kind::choice) {
    reader_.unsupported(start, "only one character can be looked for behind");
  }
  std::vector<RegexNode> parts;
  for (const RegexNode& part : node.parts) parts.push_back(look_behind_any(part, negated, start));
  return negated ? sequence(std::move(parts)) : choice(std::move(parts));
}

RegexNode Parser::quantified(RegexNode child, const Quantifier& quantifier, std::size_t start) {
  RegexNode result = repeat(std::move(child), quantifier);
  return quantifier.possessive ? atomic(std::move(result), start) : result;
}

RegexNode Parser::atomic(RegexNode child, std::size_t start) {
  const auto is_plain = [](const RegexNode& node) { return node.kind == Kind::one_of; };
  if (is_plain(child)) return child;
  if (child.kind == Kind::sequence &&
      std::all_of(child.parts.begin(), child.parts.end(), is_plain)) {
    return child;
  }
  // A greedy run of one set gives nothing back if what follows it is not in the set.
  const bool is_run = child.kind == Kind::repeat && !child.lazy && is_plain(child.parts.front()) &&
                      (child.max == RegexNode::kUnbounded || (child.min == 0 && child.max == 1));
  if (!is_run) {
    reader_.unsupported(start,
                        "a possessive quantifier or atomic group is supported around a repeated "
                        "class or character alone");
  }
  RegexNode no_more = look_ahead(child.parts.front(), true);
  std::vector<RegexNode> parts;
  if (child.max == 1) {
    parts.push_back(std::move(child.parts.front()));
    parts.push_back(std::move(no_more));
    return choice(std::move(parts));
  }
  parts.push_back(std::move(child));
  parts.push_back(std::move(no_more));
  return sequence(std::move(parts));
}

void Parser::skip_space(Flags flags) {
  while (flags.spaced && !reader_.at_end()) {
    if (reader_.accept(U"#")) {
      while (!reader_.at_end() && reader_.next() != '\n') {
      }
    } else if (reader_.peek() == ' ' || (reader_.peek() >= '\t' && reader_.peek() <= '\r')) {
      reader_.next();
    } else {
      return;
    }
  }
}

// {n}, {n,}, {,m} and {n,m}; anything else is no interval, and stands for itself.
std::optional<Quantifier> Parser::read_interval() {
  constexpr std::size_t kMaxDigits = 7;
  const std::size_t start = reader_.position();
  reader_.next();
  std::size_t low = 0;
  std::size_t high = 0;
  const uint32_t min = reader_.number(10, kMaxDigits, low);
  const bool comma = reader_.accept(U",");
  const uint32_t max = comma ? reader_.number(10, kMaxDigits, high) : min;
  if (!reader_.accept(U"}") || low + high == 0) {
    reader_.rewind(start);
    return std::nullopt;
  }
  Quantifier result{min, comma && high == 0 ? RegexNode::kUnbounded : max};
  if (min > kMaxCount || (result.max > kMaxCount && result.max != RegexNode::kUnbounded)) {
    reader_.unsupported(start, "the number of repetitions is too large");
  }
  if (result.max < min) reader_.unsupported(start, "the interval ends before it begins");
  // {n}? is not lazy but optional, and {n}+ is not possessive but repeated: so Oniguruma reads it.
  if (comma) result.lazy = reader_.accept(U"?");
  return result;
}

std::optional<Quantifier> Parser::read_quantifier() {
  Quantifier result{0, RegexNode::kUnbounded};
  if (reader_.peek() == '{') return read_interval();
  if (reader_.accept(U"?")) {
    result.max = 1;
  } else if (reader_.accept(U"+")) {
    result.min = 1;
  } else if (!reader_.accept(U"*")) {
    return std::nullopt;
  }
  result.lazy = reader_.accept(U"?");
  result.possessive = !result.lazy && reader_.accept(U"+");
  return result;
}

RegexNode Parser::parse_choice(Flags flags, std::size_t depth) {
  if (depth > kMaxDepth) reader_.unsupported(reader_.position(), "groups nest too deeply");
  std::vector<RegexNode> parts;
  parts.push_back(parse_sequence(flags, depth));
  while (reader_.accept(U"|")) parts.push_back(parse_sequence(flags, depth));
  return choice(std::move(parts));
}

RegexNode Parser::parse_sequence(Flags flags, std::size_t depth) {
  std::vector<RegexNode> parts;
  std::u32string folded_run;
  for (skip_space(flags); !reader_.at_end() && reader_.peek() != '|' && reader_.peek() != ')';
       skip_space(flags)) {
    bool rest_of_group = false;
    RegexNode node = parse_atom(flags, depth, rest_of_group);
    const auto literal = std::exchange(last_literal_, std::nullopt);
    if (flags.any_case && literal) {
      check_long_folds(folded_run, *literal);
    } else {
      folded_run.clear();
    }
    skip_space(flags);
    for (std::size_t count = 0; !rest_of_group; ++count) {
      const std::size_t at = reader_.position();
      const auto quantifier = read_quantifier();
      if (!quantifier) break;
      if (count == kMaxStackedQuantifiers) reader_.unsupported(at, "too many quantifiers in a row");
      node = quantified(std::move(node), *quantifier, at);
      skip_space(flags);
    }
    if (node.kind != Kind::empty) parts.push_back(std::move(node));
  }
  return sequence(std::move(parts));
}

RegexNode Parser::parse_atom(Flags flags, std::size_t depth, bool& rest_of_group) {
  const std::size_t start = reader_.position();
  const char32_t c = reader_.next();
  switch (c) {
    case '(':
      return parse_group(flags, depth, rest_of_group);
    case '[':
      return one_of(read_bracket_class(reader_, flags.any_case));
    case '.':
      return one_of(flags.dot_all ? CharSet::all() : ~CharSet({{'\n', '\n'}}));
    case '^':
    case '$':
      return anchor(c);
    case '\\':
      return parse_escape(flags);
    case '*':
    case '+':
    case '?':
      reader_.malformed(start, "there is nothing to repeat");
    default:
      return literal(c, flags);
  }
}

RegexNode Parser::parse_escape(Flags flags) {
  for (const char32_t letter : {U'A', U'z', U'Z', U'b', U'B'}) {
    if (reader_.accept(std::u32string_view(&letter, 1))) return anchor(letter);
  }
  if (reader_.accept(U"N")) return one_of(~CharSet({{'\n', '\n'}}));
  if (reader_.accept(U"O")) return one_of(CharSet::all());
  const PatternReader::Escape escape = reader_.read_escape();
  return escape.is_class ? one_of(escape.set) : literal(escape.code, flags);
}

// "i-mx" before ")" or ":"; false when there is something else.
bool Parser::read_flags(Flags& flags) {
  bool on = true;
  while (reader_.peek() != ')' && reader_.peek() != ':') {
    switch (reader_.at_end() ? U'\0' : reader_.next()) {
      case '-':
        on = false;
        break;
      case 'i':
        flags.any_case = on;
        break;
      case 'm':
        flags.dot_all = on;
        break;
      case 'x':
        flags.spaced = on;
        break;
      default:
        return false;
    }
  }
  return true;
}

RegexNode Parser::parse_group(Flags flags, std::size_t depth, bool& rest_of_group) {
  const std::size_t start = reader_.position() - 1;
  const auto body = [&](Flags inner) {
    RegexNode node = parse_choice(inner, depth + 1);
    if (!reader_.accept(U")")) reader_.malformed(start, "the group does not end");
    return node;
  };
  if (!reader_.accept(U"?")) return body(flags);
  if (reader_.accept(U"#")) {
    reader_.until(U')');
    return {};
  }
  if (reader_.accept(U"=")) return look_ahead(body(flags), false);
  if (reader_.accept(U"!")) return look_ahead(body(flags), true);
  if (reader_.accept(U"<=")) return look_behind_any(body(flags), false, start);
  if (reader_.accept(U"<!")) return look_behind_any(body(flags), true, start);
  if (reader_.accept(U">")) return atomic(body(flags), start);
  if (reader_.accept(U"<")) {
    reader_.until(U'>');
    return body(flags);
  }
  Flags inner = flags;
  if (!read_flags(inner)) {
    reader_.unsupported(start, "this kind of group is not supported");
  }
  if (reader_.accept(U":")) return body(inner);
  // "a(?i)b|c" is "a(?i:b|c)".
  reader_.next();
  rest_of_group = true;
  return parse_choice(inner, depth + 1);
}

}  // namespace

ParsedRegex parse_regex(std::string_view pattern) { return Parser(pattern).parse(); }

}  // namespace tercel::text
