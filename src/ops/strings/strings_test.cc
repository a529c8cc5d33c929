#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/ops/op_test_util.h"
#include "tercel/error.h"

namespace tercel::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Tensor text(std::vector<std::string> values, Shape shape) {
  return Tensor::from_strings(std::move(values), std::move(shape));
}

std::string refusal(const std::string& op, const std::vector<Tensor>& inputs,
                    const std::vector<ir::Builder::Attr>& attributes = {}) {
  try {
    run_op(op, inputs, attributes);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(StringConcat, JoinsAndBroadcasts) {
  const Tensor out = run_op(
      "StringConcat", {text({"a", "ü", ""}, {3, 1}), text({"x", std::string(40, 'y')}, {2})})[0];
  EXPECT_EQ(out.shape(), (Shape{3, 2}));
  const std::string y(40, 'y');
  EXPECT_THAT(out.strings(), ElementsAre("ax", "a" + y, "üx", "ü" + y, "x", y));
  EXPECT_EQ(run_op("StringConcat", {text({}, {0}), text({"x"}, {1})})[0].size(), 0);
  EXPECT_THAT(refusal("StringConcat", {text({"a"}, {1}), Tensor::from<float>({1}, {1})}),
              HasSubstr("expected string"));
}

TEST(StringSplit, AtADelimiter) {
  const auto out = run_op("StringSplit", {text({"a.com", "a.b..c", ""}, {3})},
                          {{"delimiter", std::string(".")}}, 2);
  EXPECT_EQ(out[0].shape(), (Shape{3, 4}));
  EXPECT_THAT(out[0].strings(), ElementsAre("a", "com", "", "", "a", "b", "", "c", "", "", "", ""));
  EXPECT_THAT(out[1].values<int64_t>(), ElementsAre(2, 4, 1));
  const auto once = run_op("StringSplit", {text({"a--b--c"}, {})},
                           {{"delimiter", std::string("--")}, {"maxsplit", int64_t{1}}}, 2);
  EXPECT_EQ(once[0].shape(), Shape{2});
  EXPECT_THAT(once[0].strings(), ElementsAre("a", "b--c"));
}

TEST(StringSplit, AtWhiteSpace) {
  const auto out = run_op("StringSplit", {text({"  a \t b  c ", " ", "d"}, {3})}, {}, 2);
  EXPECT_EQ(out[0].shape(), (Shape{3, 3}));
  EXPECT_THAT(out[0].strings(), ElementsAre("a", "b", "c", "", "", "", "d", "", ""));
  EXPECT_THAT(out[1].values<int64_t>(), ElementsAre(3, 0, 1));
  const auto once =
      run_op("StringSplit", {text({"  a \t b  c "}, {1})}, {{"maxsplit", int64_t{1}}}, 2);
  EXPECT_THAT(once[0].strings(), ElementsAre("a", "b  c "));
  const auto none = run_op("StringSplit", {text({}, {0, 2})}, {}, 2);
  EXPECT_EQ(none[0].shape(), (Shape{0, 2, 0}));
  EXPECT_EQ(none[1].shape(), (Shape{0, 2}));
}

TEST(StringNormalizer, DropsStopWordsAndChangesCase) {
  const std::vector<std::string> stop{"monday", "Ärger"};
  const Tensor days = text({"Monday", "ärger", "straße", "DIENSTAG"}, {1, 4});
  const auto run = [&](const char* action, int64_t sensitive) {
    return run_op("StringNormalizer", {days},
                  {{"case_change_action", std::string(action)},
                   {"is_case_sensitive", sensitive},
                   {"stopwords", stop}})[0];
  };
  EXPECT_EQ(run("NONE", 0).shape(), (Shape{1, 2}));
  EXPECT_THAT(run("NONE", 0).strings(), ElementsAre("straße", "DIENSTAG"));
  EXPECT_THAT(run("LOWER", 1).strings(), ElementsAre("monday", "ärger", "straße", "dienstag"));
  EXPECT_THAT(run("UPPER", 1).strings(), ElementsAre("MONDAY", "ÄRGER", "STRAẞE", "DIENSTAG"));
  const Tensor nothing =
      run_op("StringNormalizer", {text({"monday"}, {1})}, {{"stopwords", stop}})[0];
  EXPECT_THAT(nothing.strings(), ElementsAre(""));
  EXPECT_THAT(refusal("StringNormalizer", {text({"a", "b"}, {2, 1})}), HasSubstr("[1, C]"));
  EXPECT_THAT(refusal("StringNormalizer", {days}, {{"case_change_action", std::string("TITLE")}}),
              HasSubstr("LOWER, UPPER or NONE"));
}

// The n-grams of ONNX's own example: 2, 3, 5, 4 alone and 5 6, 7 8, 6 7 in pairs.
std::vector<ir::Builder::Attr> grams(const std::string& mode, int64_t shortest, int64_t longest,
                                     int64_t skips) {
  return {{"mode", mode},
          {"min_gram_length", shortest},
          {"max_gram_length", longest},
          {"max_skip_count", skips},
          {"ngram_counts", std::vector<int64_t>{0, 4}},
          {"ngram_indexes", std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6}},
          {"pool_int64s", std::vector<int64_t>{2, 3, 5, 4, 5, 6, 7, 8, 6, 7}}};
}

TEST(TfIdfVectorizer, CountsGramsWithAndWithoutSkips) {
  const Tensor row = Tensor::from<int64_t>({1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8}, {12});
  const auto count = [&](const std::vector<ir::Builder::Attr>& attributes) {
    return to_doubles(run_op("TfIdfVectorizer", {row}, attributes)[0]);
  };
  EXPECT_THAT(count(grams("TF", 2, 2, 0)), ElementsAre(0, 0, 0, 0, 1, 1, 1));
  EXPECT_THAT(count(grams("TF", 2, 2, 5)), ElementsAre(0, 0, 0, 0, 1, 3, 1));
  EXPECT_THAT(count(grams("TF", 1, 2, 5)), ElementsAre(0, 3, 1, 0, 1, 3, 1));
  EXPECT_THAT(count(grams("TF", 1, 1, INT64_MAX)), ElementsAre(0, 3, 1, 0, 0, 0, 0));
  auto weighted = grams("IDF", 1, 2, 5);
  weighted.push_back({"weights", std::vector<float>{2, 3, 4, 5, 6, 7, 8}});
  EXPECT_THAT(count(weighted), ElementsAre(0, 3, 4, 0, 6, 7, 8));
  weighted.front() = {"mode", std::string("TFIDF")};
  EXPECT_THAT(count(weighted), ElementsAre(0, 9, 4, 0, 6, 21, 8));
  weighted[5] = {"ngram_indexes", std::vector<int64_t>{6, 5, 4, 3, 2, 1, 0}};
  EXPECT_THAT(count(weighted), ElementsAre(8, 21, 6, 0, 4, 9, 0));
}

TEST(TfIdfVectorizer, RowsTypesAndNoTokens) {
  const Tensor rows = Tensor::from<int32_t>({5, 6, 3, 7, 7, 8}, {2, 3});
  const Tensor out = run_op("TfIdfVectorizer", {rows}, grams("TF", 1, 2, 0))[0];
  EXPECT_EQ(out.shape(), (Shape{2, 7}));
  EXPECT_THAT(to_doubles(out), ElementsAre(0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0));
  const Tensor none(Dtype::i64, {0});
  EXPECT_THAT(to_doubles(run_op("TfIdfVectorizer", {none}, grams("TF", 1, 2, 9))[0]),
              ElementsAre(0, 0, 0, 0, 0, 0, 0));
  auto words = grams("TF", 1, 2, 0);
  words.back() = {"pool_strings",
                  std::vector<std::string>{"a", "b", "c", "d", "a", "b", "b", "a", "d", "d"}};
  EXPECT_THAT(to_doubles(run_op("TfIdfVectorizer", {text({"a", "b", "a", "x"}, {4})}, words)[0]),
              ElementsAre(2, 1, 0, 0, 1, 1, 0));
}

TEST(TfIdfVectorizer, Refuses) {
  const Tensor row = Tensor::from<int64_t>({1}, {1});
  const auto with = [](std::size_t at, const ir::Builder::Attr& attribute) {
    auto attributes = grams("TF", 1, 2, 0);
    attributes[at] = attribute;
    return attributes;
  };
  const auto why = [&](std::size_t at, const ir::Builder::Attr& attribute) {
    return refusal("TfIdfVectorizer", {row}, with(at, attribute));
  };
  EXPECT_THAT(why(0, {"mode", std::string("tf")}), HasSubstr("TF, IDF or TFIDF"));
  EXPECT_THAT(why(1, {"min_gram_length", int64_t{0}}), HasSubstr("min_gram_length"));
  EXPECT_THAT(why(2, {"max_gram_length", int64_t{3}}), HasSubstr("max_gram_length"));
  EXPECT_THAT(why(3, {"max_skip_count", int64_t{-1}}), HasSubstr("max_skip_count"));
  for (const auto& counts : {std::vector<int64_t>{0, 11}, {-1, 4}, {4, 0}})
    EXPECT_THAT(why(4, {"ngram_counts", counts}), HasSubstr("ngram_counts"));
  for (const auto& indexes :
       {std::vector<int64_t>{0, 1}, std::vector<int64_t>(8), {-1}, {INT64_MAX}})
    EXPECT_THAT(why(5, {"ngram_indexes", indexes}), HasSubstr("ngram_indexes"));
  EXPECT_THAT(why(6, {"pool_strings", std::vector<std::string>(10)}), HasSubstr("as the pool"));
  auto both = grams("TF", 1, 2, 0);
  both.push_back({"pool_strings", std::vector<std::string>(10)});
  EXPECT_THAT(refusal("TfIdfVectorizer", {row}, both), HasSubstr("either pool_strings"));
  auto weighted = grams("IDF", 1, 2, 0);
  weighted.push_back({"weights", std::vector<float>{1}});
  EXPECT_THAT(refusal("TfIdfVectorizer", {row}, weighted), HasSubstr("has 1 weights"));
}

std::vector<double> full_matches(const std::string& pattern, std::vector<std::string> values) {
  const auto count = static_cast<int64_t>(values.size());
  return to_doubles(
      run_op("RegexFullMatch", {text(std::move(values), {count})}, {{"pattern", pattern}})[0]);
}

TEST(RegexFullMatch, MatchesTheWhole) {
  EXPECT_THAT(
      full_matches(R"((\W|^)[\w.\-]{0,25}@(yahoo|gmail)\.com(\W|$))",
                   {"account@gmail.com", "account@hotmail.com", "not email", "x@yahoo.comm"}),
      ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(full_matches("a|ab", {"a", "ab", "abc", ""}), ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(full_matches("", {"", "a"}), ElementsAre(1, 0));
  EXPECT_THAT(full_matches("ü.", {"üä", "üää", "u"}), ElementsAre(1, 0, 0));
  EXPECT_EQ(
      run_op("RegexFullMatch", {text({}, {0, 2})}, {{"pattern", std::string("a")}})[0].shape(),
      (Shape{0, 2}));
  // Backtracking would take longer than there is.
  EXPECT_THAT(full_matches("(a*)*(a|aa)+[bc]d", {std::string(100'000, 'a')}), ElementsAre(0));
}

TEST(RegexFullMatch, Refuses) {
  const auto why = [](const std::string& pattern) {
    return refusal("RegexFullMatch", {text({"a"}, {1})}, {{"pattern", pattern}});
  };
  EXPECT_THAT(why("(a"), HasSubstr("the regular expression \"(a\", byte 2: a group does not end"));
  EXPECT_THAT(why("(((a{1000}){1000}){1000})"), HasSubstr("more than"));
  EXPECT_THAT(refusal("RegexFullMatch", {text({"a"}, {1})}), HasSubstr("\"pattern\" is missing"));
  EXPECT_THAT(
      refusal("RegexFullMatch", {Tensor::from<float>({1}, {1})}, {{"pattern", std::string("a")}}),
      HasSubstr("expected string"));
}

}  // namespace
}  // namespace tercel::ops
