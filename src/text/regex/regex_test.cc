#include "src/text/regex/regex.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/function_ref.h"
#include "src/text/regex/syntax.h"
#include "src/text/regex/unicode_sets.h"
#include "tercel/error.h"

namespace tercel::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Found = std::vector<std::string>;

AlignedText decoded(std::string_view text) {
  AlignedText chars;
  decode_into(chars, text, 0);
  return chars;
}

// All matches, as text.
Found find(std::string_view pattern, std::string_view text) {
  const Regex regex(pattern);
  RegexSearch search(regex);
  const AlignedText chars = decoded(text);
  Found found;
  for (const IndexRange match : search.find_all(chars.data(), chars.data() + chars.size())) {
    const uint32_t begin = match.begin == chars.size() ? static_cast<uint32_t>(text.size())
                                                       : chars[match.begin].origin.begin;
    const uint32_t end = match.begin == match.end ? begin : chars[match.end - 1].origin.end;
    found.emplace_back(text.substr(begin, end - begin));
  }
  return found;
}

TEST(Regex, TakesTheFirstAlternativeThatLeadsToAMatch) {
  EXPECT_THAT(find("a|ab", "ab"), ElementsAre("a"));
  EXPECT_THAT(find("(?:a|ab)c", "abc"), ElementsAre("abc"));
  EXPECT_THAT(find("a+?b?", "aab"), ElementsAre("a", "ab"));
  EXPECT_THAT(find("x*", "axxb"), ElementsAre("", "xx", ""));
  EXPECT_THAT(find("(|a)*", "aa"), ElementsAre("", "", ""));
  EXPECT_THAT(find("(a|b)*?c", "abcc"), ElementsAre("abc", "c"));
  EXPECT_THAT(find("", "ab"), ElementsAre("", "", ""));
  EXPECT_THAT(find("a*", ""), ElementsAre(""));
}

TEST(Regex, Quantifiers) {
  EXPECT_THAT(find("a{2,3}", "aaaaaaa"), ElementsAre("aaa", "aaa"));
  EXPECT_THAT(find("a{2,3}?", "aaaa"), ElementsAre("aa", "aa"));
  EXPECT_THAT(find("a{,2}b", "aaab"), ElementsAre("aab"));
  EXPECT_THAT(find("a{2,}", "abaa"), ElementsAre("aa"));
  EXPECT_THAT(find("a{2}+", "aaaaa"), ElementsAre("aaaa"));  // not possessive: repeated
  EXPECT_THAT(find("x{,}", "x{,}"), ElementsAre("x{,}"));    // no interval
  EXPECT_THAT(find("a++", "aab"), ElementsAre("aa"));
  EXPECT_THAT(find("a++a", "aaa"), ElementsAre());
  EXPECT_THAT(find("a?+a", "aa a"), ElementsAre("aa"));
  EXPECT_THAT(find("(?>a+)b|a", "aab aa"), ElementsAre("aab", "a", "a"));
}

TEST(Regex, Classes) {
  EXPECT_THAT(find("[a-z&&[^aeiou]]+", "abcde"), ElementsAre("bcd"));
  EXPECT_THAT(find("[^\\S\\n]+", " \t\n "), ElementsAre(" \t", " "));
  EXPECT_THAT(find("[]a-]+", "a-]b"), ElementsAre("a-]"));
  EXPECT_THAT(find("[^(\\s|[.,!?…])]+", "a b, c…"), ElementsAre("a", "b", "c"));
  EXPECT_THAT(find("[[:alpha:][:^ascii:]]+", "aé1–"), ElementsAre("aé", "–"));
  EXPECT_THAT(find("\\p{Lu}\\P{Lu}\\p{^Lu}", "ABcde"), ElementsAre("Bcd"));
  EXPECT_THAT(find("\\p{Han}+|\\p{Hiragana}", "漢字かa"), ElementsAre("漢字", "か"));
  EXPECT_THAT(find("\\x41\\x{42}\\u0043\\t", "ABC\t"), ElementsAre("ABC\t"));
  EXPECT_THAT(find(".", "a\n\r"), ElementsAre("a", "\r"));
  EXPECT_THAT(find("(?m:.)", "a\n"), ElementsAre("a", "\n"));
  EXPECT_THAT(find("(?x) a b # comment\n c", "abc"), ElementsAre("abc"));
}

TEST(Regex, CaseDoesNotCountWhereItIsAsked) {
  EXPECT_THAT(find("(?i:'s|'re)", "'S'rE'ſ"), ElementsAre("'S", "'rE", "'ſ"));
  EXPECT_THAT(find("a(?i)b|c", "aB C ac"), ElementsAre("aB", "ac"));
  EXPECT_THAT(find("(?i)[k-l]+", "kKLl\u212A"), ElementsAre("kKLl\u212A"));
  EXPECT_THAT(find("(?i:Ж(?-i:ж))", "жж жЖ"), ElementsAre("жж"));
}

TEST(Regex, LookingAround) {
  EXPECT_THAT(find("\\s+(?!\\S)|\\s+", "a   b \t"), ElementsAre("  ", " ", " \t"));
  EXPECT_THAT(find("\\d{1,3}(?=(\\d{3})*\\b)", "1234567"), ElementsAre("1", "234", "567"));
  EXPECT_THAT(find("a(?!b(?=c))", "abc abd"), ElementsAre("a"));
  EXPECT_THAT(find("(?<=\\d)x|(?<![a-z\\d])y", "1x xy y"), ElementsAre("x", "y"));
  EXPECT_THAT(find("(?<=^|\\s)a", "a ba a"), ElementsAre("a", "a"));
  EXPECT_THAT(find("\\b\\w", "ab cd"), ElementsAre("a", "c"));
  EXPECT_THAT(find("\\B\\w", "abc"), ElementsAre("b", "c"));
  EXPECT_THAT(find("^.|.$", "ab\ncd\n"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(find("\\A.|.\\z", "ab\ncd"), ElementsAre("a", "d"));
  EXPECT_THAT(find("d\\Z", "d\nd\n"), ElementsAre("d"));
}

void expect_refusal(std::string_view pattern, Errc code, std::string_view message) {
  try {
    const Regex regex(pattern);
    FAIL() << "accepted: " << pattern;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << pattern;
    EXPECT_THAT(error.what(), HasSubstr(message)) << pattern;
  }
}

TEST(Regex, RefusesWithThePlaceAndTheReason) {
  expect_refusal("(a", Errc::invalid_file, "\"(a\", character 0: the group does not end");
  expect_refusal("a)", Errc::invalid_file, "character 1: a \")\" without");
  expect_refusal("*a", Errc::invalid_file, "character 0: there is nothing to repeat");
  expect_refusal("[a", Errc::invalid_file, "the class does not end");
  expect_refusal("[b-a]", Errc::invalid_file, "the range is empty");
  expect_refusal("ab\\", Errc::invalid_file, "the pattern ends too early");
  expect_refusal("\\x{110000}", Errc::invalid_file, "not the number of a character");
  expect_refusal("(a)\\1", Errc::unsupported, "character 3: \\1 is not supported");
  expect_refusal("\\p{Klingon}", Errc::unsupported, "there is no property \"Klingon\"");
  expect_refusal("(?<=ab)c", Errc::unsupported, "only one character can be looked for behind");
  expect_refusal("(?:ab)++", Errc::unsupported, "possessive");
  expect_refusal("(?i:press)", Errc::unsupported, "character 7: without regard to case");
  expect_refusal("(?i)[ß]", Errc::unsupported, "several");
  expect_refusal("a{1000}{1000}", Errc::unsupported, "more than 4096 instructions");
  expect_refusal("(?:(?:)){99999}{99999}", Errc::unsupported, "more than 4096 instructions");
  std::string loops = "a?";
  for (int i = 0; i < 16; ++i) loops = "(" + loops + "b?)*";
  expect_refusal(loops, Errc::unsupported, "more than 4096 instructions");
  expect_refusal(std::string(200, '('), Errc::unsupported, "groups nest too deeply");
  expect_refusal(std::string(200, '['), Errc::unsupported, "classes nest too deeply");
  expect_refusal("a" + std::string(200, '?'), Errc::unsupported, "too many quantifiers");
  expect_refusal(std::string(40000, 'a'), Errc::unsupported, "40000 bytes");
}

// ---------------------------------------------------------------- against an oracle

// A backtracking engine: calls `then` with each place where the node can end, in order of
// preference, until one of them holds.
class Backtracking {
 public:
  using Then = FunctionRef<bool(std::size_t)>;
  Backtracking(const ParsedRegex& regex, std::u32string_view text) : regex_(regex), text_(text) {}

  std::optional<std::size_t> match_at(std::size_t at) {
    std::size_t end = 0;
    const bool found = match(regex_.root, at, [&](std::size_t place) {
      end = place;
      return true;
    });
    return found ? std::optional(end) : std::nullopt;
  }
  bool gave_up() const { return steps_ > kMaxSteps; }

 private:
  static constexpr std::size_t kMaxSteps = 20000;

  bool in(uint32_t set, std::size_t at) const {
    return at < text_.size() && regex_.sets[set].contains(text_[at]);
  }

  bool match(const RegexNode& node, std::size_t at, Then then) {
    if (++steps_ > kMaxSteps) return false;
    switch (node.kind) {
      case RegexNode::Kind::empty:
        return then(at);
      case RegexNode::Kind::one_of:
        return in(node.set, at) && then(at + 1);
      case RegexNode::Kind::sequence:
        return match_parts(node, 0, at, then);
      case RegexNode::Kind::choice:
        return std::any_of(node.parts.begin(), node.parts.end(),
                           [&](const RegexNode& part) { return match(part, at, then); });
      case RegexNode::Kind::repeat:
        return match_repeat(node, 0, at, then);
      case RegexNode::Kind::look_ahead:
        return match(node.parts[0], at, [](std::size_t) { return true; }) != node.negated &&
               then(at);
      case RegexNode::Kind::look_behind:
        return (at > 0 && in(node.set, at - 1)) != node.negated && then(at);
    }
    return false;
  }

  bool match_parts(const RegexNode& node, std::size_t index, std::size_t at, Then then) {
    if (index == node.parts.size()) return then(at);
    return match(node.parts[index], at,
                 [&](std::size_t place) { return match_parts(node, index + 1, place, then); });
  }

  bool match_repeat(const RegexNode& node, uint32_t count, std::size_t at, Then then) {
    const bool endless = node.max == RegexNode::kUnbounded;
    const auto again = [&] {
      if (count >= node.max) return false;
      return match(node.parts[0], at, [&](std::size_t place) {
        // An endless loop ends with an iteration that consumes nothing.
        if (endless && place == at && count + 1 >= node.min) return then(place);
        return match_repeat(node, count + 1, place, then);
      });
    };
    if (count < node.min) return again();
    return node.lazy ? then(at) || again() : again() || then(at);
  }

  const ParsedRegex& regex_;
  std::u32string_view text_;
  std::size_t steps_ = 0;
};

std::string random_pattern(std::mt19937& rng, int depth) {
  const auto pick = [&](int count) {
    return static_cast<int>(rng() % static_cast<unsigned>(count));
  };
  static constexpr const char* kAtoms[] = {"a",   "b",     "c",     "[ab]",   "[^a]",   ".",
                                           "\\w", "(?=a)", "(?!b)", "(?<=a)", "(?<!b)", "\\b",
                                           "^",   "$",     "a",     "b"};
  static constexpr const char* kQuantifiers[] = {"*",  "+",   "?",     "*?",     "+?",
                                                 "??", "{2}", "{1,2}", "{0,2}?", "{2,}"};
  if (depth == 0 || pick(4) == 0) return kAtoms[pick(16)];
  switch (pick(5)) {
    case 0:
      return random_pattern(rng, depth - 1) + "|" + random_pattern(rng, depth - 1);
    case 1:
      return "(?:" + random_pattern(rng, depth - 1) + ")" + kQuantifiers[pick(10)];
    case 2:
      return "(" + random_pattern(rng, depth - 1) + (pick(3) == 0 ? "|" : "") + ")" +
             (pick(2) == 0 ? "*" : "");
    case 3:
      return (pick(2) == 0 ? "(?=" : "(?!") + random_pattern(rng, depth - 1) + ")";
    default:
      return random_pattern(rng, depth - 1) + random_pattern(rng, depth - 1);
  }
}

TEST(Regex, FindsWhatBacktrackingFinds) {
  constexpr unsigned kSeed = 20240607;
  std::mt19937 rng(kSeed);
  int compared = 0;
  for (int round = 0; round < 2000; ++round) {
    const std::string pattern = random_pattern(rng, 5);
    const ParsedRegex parsed = parse_regex(pattern);
    const Regex regex(pattern);
    RegexSearch search(regex);
    for (int i = 0; i < 4; ++i) {
      std::string text;
      for (auto length = rng() % 9; length > 0; --length) text += "aabbc \n"[rng() % 7];
      const std::u32string wide(text.begin(), text.end());
      std::vector<IndexRange> expected;
      Backtracking oracle(parsed, wide);
      bool after_match = false;
      for (uint32_t at = 0; at <= text.size();) {
        const auto end = oracle.match_at(at);
        if (!end || (*end == at && after_match)) {
          ++at;
          after_match = false;
          continue;
        }
        expected.push_back({at, static_cast<uint32_t>(*end)});
        at = static_cast<uint32_t>(*end);
        after_match = true;
      }
      if (oracle.gave_up()) continue;
      ++compared;
      ASSERT_EQ(search.find_all(text), expected) << pattern << " in \"" << text << "\"";
    }
  }
  EXPECT_GT(compared, 5000);
}

// ---------------------------------------------------------------- linear time

TEST(Regex, TimeIsLinearForHostilePatternsAndTexts) {
  constexpr std::size_t kSize = 1 << 18;
  const std::string many(kSize, 'a');
  std::string mixed;
  std::mt19937 rng(7);
  while (mixed.size() < kSize) mixed += "aaaaaab c\n"[rng() % 10];
  for (const char* pattern :
       {"(a*)*b", "(a|a)*c", "(a|aa)+$", "a*b|a", "(?:a?){50}a{50}b", "(a+)+(a+)+c", ".*.*.*=.*",
        "(?:.*[^a])?|a", "a*(?=a*b)|a", "(.*)(.*)(.*)(.*)[x]", "(([a-c])+.)+[d]",
        "\\s+(?!\\S)|\\s+|a{1,100}b|a", "[ab]{0,200}c{5}"}) {
    const Regex regex(pattern);
    RegexSearch search(regex);
    for (const std::string& text : {many, mixed}) {
      const uint64_t before = search.steps();
      search.find_all(text);
      EXPECT_LT(search.steps() - before, 10 * kSize) << pattern;
    }
  }
}

// Any a whose 18th successor is an a: the automaton has 2^18 states, and is thrown away again and
// again.
TEST(Regex, MemoryIsBoundedWhereTheAutomatonIsNot) {
  std::string text;
  std::mt19937 rng(11);
  while (text.size() < 20000) text += "ab"[rng() % 2];
  const Regex regex("a(?=[ab]{17}a)");
  RegexSearch search(regex);
  std::vector<IndexRange> expected;
  for (uint32_t i = 0; i + 18 < text.size(); ++i) {
    if (text[i] == 'a' && text[i + 18] == 'a') expected.push_back({i, i + 1});
  }
  EXPECT_EQ(search.find_all(text), expected);
  EXPECT_LT(search.steps(), 100 * text.size());
}

TEST(UnicodeSets, SomeMembers) {
  EXPECT_TRUE(find_property("Uppercase_Letter")->contains(U'Ж'));
  EXPECT_TRUE(find_property("greek")->contains(U'α'));
  EXPECT_EQ(find_property("nothing of that name"), std::nullopt);
  EXPECT_TRUE(find_property("Cn")->contains(0x10FFFF));
  EXPECT_TRUE(word_set().contains(U'\u0301'));
  EXPECT_TRUE(word_set().contains(U'²'));
  EXPECT_FALSE(word_set().contains(U'⁴'));
  EXPECT_EQ(~~digit_set(), digit_set());
  EXPECT_EQ((digit_set() | ~digit_set()), CharSet::all());
  EXPECT_TRUE((digit_set() & ~digit_set()).empty());
  EXPECT_EQ(piece_script(U' '), 0);
  EXPECT_EQ(piece_script(U'か'), piece_script(U'漢'));
}

}  // namespace
}  // namespace tercel::text
