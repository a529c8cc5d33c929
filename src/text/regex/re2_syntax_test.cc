#include "src/text/regex/re2_syntax.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/text/regex/regex.h"
#include "tercel/error.h"

namespace tercel::text {
namespace {

using testing::HasSubstr;

bool full_match(const char* pattern, std::string_view text) {
  const Regex regex(full_match_of_re2(pattern));
  AlignedText characters;
  decode_into(characters, text, 0);
  return !RegexSearch(regex)
              .find_all(characters.data(), characters.data() + characters.size())
              .empty();
}

TEST(Re2, MeansWhatRe2Means) {
  struct Case {
    const char* pattern;
    std::vector<std::string_view> matches;
    std::vector<std::string_view> others;
  };
  const Case cases[] = {
      {"a.c", {"abc", "aäc"}, {"a\nc", "abcd", ""}},
      {"(?s)a.c", {"a\nc"}, {"ac"}},
      {"(?s:a.)b.", {"a\nbc"}, {"a\nb\n"}},
      {"^a$", {"a"}, {"a\n", "b\na"}},
      {"(?m)a$\n^b", {"a\nb"}, {"ab"}},
      {"(?m)a\n^$", {"a\n"}, {"a"}},
      {R"(\d\w\s)", {"1a ", "0_\t"}, {"٣a ", "1ä ", "1a\v", "1a\xC2\xA0"}},
      {R"(\D\W\S)", {"٣ä\v"}, {"1a "}},
      {R"(\ba\b.\bb\B.)", {"a bc"}, {"a b."}},
      {R"(ä\bb)", {"äb"}, {}},
      {"[[:alpha:]][[:^digit:]][^[:space:]]", {"axx"}, {"äxx", "a1x", "ax "}},
      {"[]a][^]a][a-]", {"]x-", "axa"}, {"]]-", "bxa"}},
      {"[a[b]&&", {"[&&", "a&&"}, {"a", "]&&"}},
      {R"([\]\d\-x-z])", {"]", "7", "-", "y"}, {"\\", "w"}},
      {R"(\pL\p{Lu}\PN\p{Greek})", {"äÄxλ"}, {"äÄ1λ", "äÄxl"}},
      {R"(\x41\x{e4}\101\0\a\.)",
       {std::string_view("Aä"
                         "A\0\a.",
                         7)},
       {}},
      {R"(\Qa.b*\E+)", {"a.b*", "a.b**"}, {"aab", "a.b"}},
      {"(?i)äB[c-e]", {"Äbd", "äBD"}, {"aBd"}},
      {"a(?i)b|c", {"aB", "C"}, {"AB", "aC"}},
      {"(a(?i:b))c", {"aBc"}, {"ABc", "aBC"}},
      {"(?i)strasse",
       {"STRASSE"},
       {"stra\xC3\x9F"
        "e"}},
      {"(?i-s:a).", {"Ab"}, {"A\n"}},
      {"(?P<x>a)(?<y>b)(?:c)(?U)d*?", {"abc", "abcddd"}, {"ab"}},
      {"a{2}b{1,}c{0,2}d{2}?", {"aabdd", "aabbccdd"}, {"aabd", "aabcccdd"}},
      {"a{,2}x{y}", {"a{,2}x{y}"}, {"aax"}},
      {"a*?b+?c??", {"aabb", "bc"}, {"ac"}},
      {"(|a)+", {"", "aaa"}, {"b"}},
      {" #(?:x y)", {" #x y"}, {"xy"}},
  };
  for (const Case& c : cases) {
    for (const auto text : c.matches) EXPECT_TRUE(full_match(c.pattern, text)) << c.pattern << text;
    for (const auto text : c.others) EXPECT_FALSE(full_match(c.pattern, text)) << c.pattern << text;
  }
}

TEST(Re2, RefusesWhatIsMalformedOrNotRe2) {
  for (const char* pattern : {"(",         ")",          "a(b",     "[a",           "[]",
                              "[b-a]",     "[[:alfa:]]", "*",       "a|*",          "(*)",
                              "a**",       "a*+",        "a{2}{3}", "a{2,1}",       "a{1001}",
                              "a{99999}",  "(?=a)",      "(?!a)",   "(?<=a)",       "(?<!a)",
                              "(?>a)",     "(?P<>a)",    "(?P<a",   "(?x)a",        "(?i",
                              "(?",        "\\",         "\\1",     "\\8",          "\\Z",
                              "\\G",       "\\K",        "\\R",     "\\X",          "\\C",
                              "\\h",       "\\u0041",    "\\x",     "\\x{",         "\\x{110000}",
                              "\\x{D800}", "\\p",        "\\p{",    "\\p{Nothing}", "\\pQ"}) {
    try {
      const Regex regex(full_match_of_re2(pattern));
      ADD_FAILURE() << pattern;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("the regular expression")) << pattern;
    }
  }
}

}  // namespace
}  // namespace tercel::text
