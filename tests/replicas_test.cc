// Replicas: one copy of the weights, the same bits, results in order, errors from any of them.

#include "tercel/replicas.h"

#include <atomic>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tercel/tasks.h"

namespace tercel {
namespace {

using testing::HasSubstr;

const std::filesystem::path kCheckpoint = TERCEL_SOURCE_DIR "/tests/data/checkpoints/bert_qa";

NamedTensors inputs_of(int64_t rows, int64_t length, int64_t seed) {
  NamedTensors inputs;
  for (const char* name : {"input_ids", "attention_mask", "token_type_ids"}) {
    Tensor tensor(Dtype::i64, {rows, length});
    int64_t i = seed;
    const bool is_ids = std::string_view(name) == "input_ids";
    for (int64_t& value : tensor.values<int64_t>()) {
      value = is_ids ? 1 + i++ * 7919 % 60 : std::string_view(name) == "attention_mask";
    }
    inputs.emplace(name, std::move(tensor));
  }
  return inputs;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Replicas, GiveTheBitsOfOneSessionInOrder) {
  const auto session = Session::load(kCheckpoint, {.threads = 1});
  const auto replicas = Replicas::load(kCheckpoint, {.devices = "cpu,cpu,cpu", .threads = 1});
  ASSERT_EQ(replicas.size(), 3U);
  std::vector<NamedTensors> batches;
  for (int64_t i = 0; i < 20; ++i) batches.push_back(inputs_of(1 + i % 3, 3 + i % 7, i));
  const auto outputs = replicas.run(batches);
  ASSERT_EQ(outputs.size(), batches.size());
  for (std::size_t i = 0; i < batches.size(); ++i) {
    for (const auto& [name, expected] : session.run(batches[i])) {
      const auto got = outputs[i].at(name).values<float>();
      EXPECT_THAT(got, testing::ElementsAreArray(expected.values<float>())) << i << " " << name;
    }
  }
}

TEST(Replicas, ShareTheWeights) {
  const auto session = Session::load(kCheckpoint, {.threads = 1});
  const auto replicas = Replicas::load(kCheckpoint, {.devices = "cpu,cpu,cpu,cpu", .threads = 1});
  EXPECT_EQ(replicas[3].stats().weight_bytes, session.stats().weight_bytes);
  // The allocator that they share holds the weights once.
  EXPECT_EQ(replicas[3].stats().peak_bytes, replicas[0].stats().peak_bytes);
  EXPECT_LT(replicas[0].stats().peak_bytes, session.stats().weight_bytes * 3 / 2);
  EXPECT_EQ(replicas[1].options().threads, 1);
}

TEST(Replicas, OutliveTheSessionTheyCameFrom) {
  std::optional<Session> replica;
  {
    const auto session = Session::load(kCheckpoint, {.threads = 2});
    replica = session.replica(1);
  }
  EXPECT_EQ(replica->run(inputs_of(2, 5, 1)).size(), 2U);
  const auto pair = Replicas::of(*replica, 2, 1);
  EXPECT_EQ(pair.size(), 2U);
}

TEST(Replicas, ReportTheFirstError) {
  const auto replicas = Replicas::load(kCheckpoint, {.devices = "cpu,cpu", .threads = 1});
  std::vector<NamedTensors> batches(9, inputs_of(1, 4, 1));
  batches[5].erase("attention_mask");
  EXPECT_THAT(message_of([&] { replicas.run(batches); }), HasSubstr("attention_mask"));
  std::atomic<bool> cancel = true;
  EXPECT_THAT(message_of([&] {
                replicas.run({&batches[0], 1}, {}, {.cancel = &cancel});
              }),
              HasSubstr("cancel"));
}

TEST(Replicas, RefuseWhatIsNoListOfDevices) {
  EXPECT_THAT(message_of([] { Replicas::load(kCheckpoint, {.devices = "cpu,,cpu"}); }),
              HasSubstr("an entry is empty"));
  EXPECT_THAT(message_of([] { Replicas::load(kCheckpoint, {.devices = "cpu,tpu"}); }),
              HasSubstr("tpu"));
  EXPECT_THAT(message_of([] { Session::load(kCheckpoint, {.devices = "cpu,cpu"}); }),
              HasSubstr("tercel::Replicas"));
  const auto session = Session::load(kCheckpoint, {.threads = 1});
  EXPECT_THAT(message_of([&] { Replicas::of(session, 0, 1); }), HasSubstr("at least one"));
}

TEST(Replicas, ServeTasks) {
  const std::filesystem::path model = TERCEL_SOURCE_DIR "/tests/data/checkpoints/sentence_mean";
  std::vector<std::string> texts;
  for (int i = 0; i < 200; ++i)
    texts.push_back(std::string(static_cast<std::size_t>(i), 'a') + " b");
  const Embedding alone(model, {.threads = 1});
  const Embedding several(model, {.devices = "cpu,cpu,cpu", .threads = 1});
  EXPECT_THAT(several.embed(texts).values<float>(),
              testing::ElementsAreArray(alone.embed(texts).values<float>()));
}

}  // namespace
}  // namespace tercel
