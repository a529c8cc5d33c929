#include <gtest/gtest.h>

#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

using References = std::vector<std::string>;

double exact(std::string_view prediction, const References& references) {
  return squad_exact_match(prediction, references);
}
double f1(std::string_view prediction, const References& references) {
  return squad_f1(prediction, references);
}

TEST(SquadMetrics, CasePunctuationArticlesAndSpacesDoNotCount) {
  EXPECT_EQ(exact("The  Quick, brown-fox!", {"quick brownfox"}), 100);
  EXPECT_EQ(exact("an apple a day", {"apple day"}), 100);
  EXPECT_EQ(exact("there", {"re"}), 0);
  EXPECT_EQ(exact("the", {""}), 100);
  EXPECT_EQ(exact("a b", {"c", "B"}), 100);
}

TEST(SquadMetrics, UnicodeAsPythonHasIt) {
  EXPECT_EQ(exact("ÉCOLE", {"école"}), 100);
  EXPECT_EQ(exact("ΟΔΟΣ", {"οδος"}), 100);  // a final sigma
  EXPECT_EQ(exact("20–18", {"2018"}), 0);   // the en dash is not ASCII punctuation
  EXPECT_EQ(exact("x\u00A0y\x1Cz", {"x y z"}), 100);
  EXPECT_EQ(exact("the–end", {"–end"}), 100);      // a dash ends a word
  EXPECT_EQ(exact("theé", {"é"}), 0);              // a letter does not
  EXPECT_EQ(exact("a\u0301b", {"\u0301b"}), 100);  // nor is a combining mark part of one
  EXPECT_EQ(exact("İ", {"i\u0307"}), 100);
}

TEST(SquadMetrics, F1CountsWordsWithTheirNumber) {
  EXPECT_DOUBLE_EQ(f1("red red blue", {"red blue"}), 80);  // 2 common, of 3 and of 2
  EXPECT_DOUBLE_EQ(f1("October 6", {"on October 6, 1973"}), 100 * 2 * 1.0 * 0.5 / 1.5);
  EXPECT_DOUBLE_EQ(f1("green", {"red", "green grass"}), 100 * 2.0 / 3);
  EXPECT_EQ(f1("nothing", {"else"}), 0);
  EXPECT_EQ(f1("", {"else"}), 0);
  EXPECT_EQ(f1("the", {"a"}), 0);  // version 1.1: no words in common
}

TEST(SquadMetrics, QuestionsWithoutAnswers) {
  EXPECT_EQ(exact("", {}), 100);
  EXPECT_EQ(f1("", {}), 100);
  EXPECT_EQ(exact("something", {}), 0);
  EXPECT_EQ(f1("something", {}), 0);
}

}  // namespace
}  // namespace tercel::tasks
