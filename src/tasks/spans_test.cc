#include "src/tasks/spans.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace tercel::tasks {
namespace {

constexpr float kLow = -10;

TEST(TopPositions, HighestFirstAndLowerPositionOnTies) {
  const std::vector<float> logits = {1, 3, 3, -1, 2};
  EXPECT_EQ(top_positions(logits, 3), (std::vector<std::size_t>{1, 2, 4}));
  EXPECT_EQ(top_positions(logits, 9), (std::vector<std::size_t>{1, 2, 4, 0, 3}));
  EXPECT_TRUE(top_positions({}, 3).empty());
}

TEST(TopPositions, NanIsTheLowest) {
  const std::vector<float> logits = {std::nanf(""), 1, std::nanf(""), 2};
  EXPECT_EQ(top_positions(logits, 4), (std::vector<std::size_t>{3, 1, 0, 2}));
}

TEST(SpanPool, StaysInTheTextAndInOrder) {
  // Positions 0-2 are the question, 3-6 the text, 7 a special token.
  const std::vector<float> start = {9, kLow, kLow, 1, kLow, 2, kLow, 8};
  const std::vector<float> end = {9, kLow, kLow, 3.5F, 1, kLow, 2, 8};
  SpanPool pool({20, 30});
  pool.add_window(0, start, end, 3, 7);
  const auto& best = pool.best();
  ASSERT_GE(best.size(), 3U);
  EXPECT_EQ(best[0].begin, 3U);
  EXPECT_EQ(best[0].last, 3U);
  EXPECT_EQ(best[0].score, 4.5F);
  EXPECT_EQ(best[1].begin, 5U);  // 2 + 2
  EXPECT_EQ(best[1].last, 6U);
  EXPECT_EQ(best[2].begin, 3U);  // 1 + 2
  EXPECT_EQ(best[2].last, 6U);
  for (const SpanCandidate& span : best) {
    EXPECT_GE(span.begin, 3U);
    EXPECT_LE(span.begin, span.last);
    EXPECT_LT(span.last, 7U);
  }
  EXPECT_EQ(pool.null_score(), 18);
}

TEST(SpanPool, LimitsTheLength) {
  const std::vector<float> start = {5, 0, 0, 0};
  const std::vector<float> end = {0, 0, 3, 9};
  SpanPool pool({20, 3});
  pool.add_window(0, start, end, 0, 4);
  EXPECT_EQ(pool.best()[0].last, 3U);  // 0 + 9, from position 1
  EXPECT_EQ(pool.best()[0].begin, 1U);
  SpanPool longer({20, 4});
  longer.add_window(0, start, end, 0, 4);
  EXPECT_EQ(longer.best()[0].begin, 0U);
  EXPECT_EQ(longer.best()[0].score, 14);
}

TEST(SpanPool, OnlyTheBestPositionsOfAWindowAreCombined) {
  // With n_best = 2, two question positions take both places of the starts: no span is left.
  const std::vector<float> start = {9, 8, 1, 1};
  const std::vector<float> end = {0, 0, 1, 1};
  SpanPool pool({2, 30});
  pool.add_window(0, start, end, 2, 4);
  EXPECT_TRUE(pool.best().empty());
}

TEST(SpanPool, NullIsTheLeastOfTheWindows) {
  SpanPool pool({20, 30});
  pool.add_window(0, std::vector<float>{3, 0}, std::vector<float>{1, 0}, 1, 2);
  pool.add_window(1, std::vector<float>{1, 0}, std::vector<float>{1, 0}, 1, 2);
  EXPECT_EQ(pool.null_score(), 2);
}

// Rules 4 to 7 as the reference writes them: all candidates of all windows, in order, stably
// sorted.
std::vector<SpanCandidate> reference(const std::vector<std::vector<float>>& starts,
                                     const std::vector<std::vector<float>>& ends,
                                     std::size_t text_begin, const SpanRules& rules) {
  std::vector<SpanCandidate> all;
  const auto n_best = static_cast<std::size_t>(rules.n_best);
  for (std::size_t w = 0; w < starts.size(); ++w) {
    const auto ranked = [&](const std::vector<float>& logits) {
      std::vector<std::size_t> order(logits.size());
      for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::stable_sort(order.begin(), order.end(),
                       [&](auto a, auto b) { return logits[a] > logits[b]; });
      order.resize(std::min(n_best, order.size()));
      return order;
    };
    const auto s = ranked(starts[w]);
    const auto e = ranked(ends[w]);
    for (std::size_t i = 0; i < s.size(); ++i) {
      for (std::size_t j = 0; j < e.size(); ++j) {
        const bool in_text = s[i] >= text_begin && e[j] >= text_begin;
        if (!in_text || e[j] < s[i]) continue;
        if (e[j] - s[i] + 1 > static_cast<std::size_t>(rules.max_tokens)) continue;
        all.push_back({starts[w][s[i]] + ends[w][e[j]], w, i, j, s[i], e[j]});
      }
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.score > b.score; });
  if (all.size() > n_best) all.resize(n_best);
  return all;
}

TEST(SpanPool, RandomLogitsInAnyOrderOfWindows) {
  std::mt19937 random(20250301);
  for (int round = 0; round < 200; ++round) {
    const SpanRules rules = {static_cast<int>(random() % 25 + 1),
                             static_cast<int>(random() % 12 + 1)};
    const std::size_t windows = random() % 4 + 1;
    const std::size_t text_begin = random() % 6;
    std::vector<std::vector<float>> starts(windows);
    std::vector<std::vector<float>> ends(windows);
    for (std::size_t w = 0; w < windows; ++w) {
      const std::size_t length = text_begin + 1 + random() % 40;
      for (std::size_t i = 0; i < length; ++i) {  // few values: many ties
        starts[w].push_back(static_cast<float>(random() % 7));
        ends[w].push_back(static_cast<float>(random() % 7));
      }
    }
    std::vector<std::size_t> order(windows);
    for (std::size_t i = 0; i < windows; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    SpanPool pool(rules);
    for (const std::size_t w : order) {
      pool.add_window(w, starts[w], ends[w], text_begin, starts[w].size());
    }
    const auto expected = reference(starts, ends, text_begin, rules);
    ASSERT_EQ(pool.best().size(), expected.size()) << "round " << round;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(pool.best()[i].window, expected[i].window) << "round " << round;
      EXPECT_EQ(pool.best()[i].begin, expected[i].begin) << "round " << round;
      EXPECT_EQ(pool.best()[i].last, expected[i].last) << "round " << round;
    }
  }
}

}  // namespace
}  // namespace tercel::tasks
