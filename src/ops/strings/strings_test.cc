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

}  // namespace
}  // namespace tercel::ops
