#include "tercel/session.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace tercel {
namespace {

const std::filesystem::path kCheckpoint = TERCEL_SOURCE_DIR "/tests/data/checkpoints/bert_qa";

NamedTensors random_inputs(std::mt19937& random, int64_t batch, int64_t length) {
  std::vector<int64_t> ids(batch * length), mask(ids.size(), 1), types(ids.size());
  for (auto& id : ids) id = static_cast<int64_t>(random() % 50);
  for (auto& type : types) type = static_cast<int64_t>(random() % 2);
  mask.back() = 0;
  const Shape shape = {batch, length};
  return {{"input_ids", Tensor::from(ids, shape)},
          {"attention_mask", Tensor::from(mask, shape)},
          {"token_type_ids", Tensor::from(types, shape)}};
}

bool same_bits(const NamedTensors& a, const NamedTensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    const auto left = x.second.template values<float>();
    const auto right = y.second.template values<float>();
    return x.first == y.first && x.second.shape() == y.second.shape() &&
           std::equal(left.begin(), left.end(), right.begin());
  });
}

// Shapes repeat, so that threads meet both in a plan that is being made and in one that is there.
TEST(SessionThreads, ManyCallersGetWhatOneCallerGets) {
  std::mt19937 random(11);
  std::vector<NamedTensors> inputs, expected;
  const Session alone = Session::load(kCheckpoint, {.threads = 1});
  for (int i = 0; i < 12; ++i) {
    inputs.push_back(random_inputs(random, 1 + i % 3, 5 + 4 * (i % 4)));
    expected.push_back(alone.run(inputs.back()));
  }
  const Session shared = Session::load(kCheckpoint, {.threads = 2});
  std::atomic<int> wrong{0};
  std::vector<std::jthread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (std::size_t i = 0; i < 2 * inputs.size(); ++i) {
        const std::size_t at = (i + 5 * caller) % inputs.size();
        if (!same_bits(shared.run(inputs[at]), expected[at])) ++wrong;
      }
    });
  }
  callers.clear();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(shared.stats().plans, alone.stats().plans);
}

TEST(SessionThreads, ARunIsCancelledFromAnotherThread) {
  std::mt19937 random(12);
  const Session session = Session::load(kCheckpoint, {.threads = 2});
  const NamedTensors inputs = random_inputs(random, 2, 24);
  CancelFlag cancel{false};
  std::jthread other([&] { cancel = true; });
  try {
    while (true) session.run(inputs, {}, {.cancel = &cancel});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::cancelled) << error.what();
  }
  EXPECT_FALSE(session.run(inputs).empty()) << "a cancelled run leaves the session usable";
}

TEST(SessionThreads, ADeadlineThatHasPassedEndsTheRun) {
  std::mt19937 random(13);
  const Session session = Session::load(kCheckpoint, {.threads = 2});
  try {
    session.run(random_inputs(random, 1, 9), {}, {.deadline = std::chrono::steady_clock::now()});
    ADD_FAILURE() << "the run went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Errc::deadline_exceeded) << error.what();
  }
}

}  // namespace
}  // namespace tercel
