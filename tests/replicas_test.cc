// Replicas: one copy of the weights, the same bits, results in order, errors from any of them.

#include "tercel/replicas.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/session/load_replicas.h"
#include "src/tasks/replica_layout.h"
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
  const auto pair = Replicas({*replica}).split(2);
  EXPECT_EQ(pair.size(), 2U);
}

TEST(Replicas, AreSplitWithTheirThreads) {
  const auto session = Session::load(kCheckpoint, {.threads = 5});
  const auto parts = Replicas({session}).split(2);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[1].options().threads, 2);
  EXPECT_EQ(Replicas({session}).split(8)[7].options().threads, 1);
  EXPECT_EQ(Replicas({session}).split(1)[0].options().threads, 5);
}

// The CPUs that each thread of the process may use, by the thread's number.
std::map<std::string, std::string> cpus_of_threads() {
  std::map<std::string, std::string> cpus;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(entry.path() / "status");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("Cpus_allowed_list:"))
        cpus[entry.path().filename()] = line.substr(line.find_last_of(" \t") + 1);
    }
  }
  return cpus;
}

class ReplicasOnNodes : public testing::Test {
 protected:
  void SetUp() override {
    if (allowed_.size() < 2) GTEST_SKIP() << "one CPU";
  }
  // Two nodes: the first CPU, and the second one.
  Replicas load(const SessionOptions& options) const {
    return load_replicas(kCheckpoint, options, {{allowed_[0]}, {allowed_[1]}});
  }
  const CpuList allowed_ = allowed_cpus();
};

TEST_F(ReplicasOnNodes, HaveACopyOfTheWeightsOnEach) {
  const auto session = Session::load(kCheckpoint, {.threads = 1});
  const auto replicas = load({.devices = "cpu,cpu,cpu", .threads = 2});
  ASSERT_EQ(replicas.size(), 3U);
  EXPECT_EQ(replicas.nodes(), 2U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(replicas[i].options().cpus, CpuList{allowed_[i % 2]});
    EXPECT_EQ(replicas[i].stats().weight_bytes, session.stats().weight_bytes);
  }
  // What counts the bytes of a copy is with the copy: the first and the third replica's is one.
  const auto before = replicas[1].stats().peak_bytes;
  replicas[2].run(inputs_of(90, 40, 1));
  EXPECT_EQ(replicas[0].stats().peak_bytes, replicas[2].stats().peak_bytes);
  EXPECT_GT(replicas[0].stats().peak_bytes, before);
  EXPECT_EQ(replicas[1].stats().peak_bytes, before);
}

TEST_F(ReplicasOnNodes, KeepTheirThreadsThere) {
  std::jthread([] {}).join();  // the thread sanitizer starts one of its own with the first
  const auto before = cpus_of_threads();
  const auto replicas = load({.devices = "cpu,cpu,cpu,cpu", .threads = 2});
  auto after = cpus_of_threads();
  for (const auto& [thread, cpus] : before) {
    EXPECT_EQ(after[thread], cpus);
    after.erase(thread);
  }
  std::vector<std::string> of_workers;
  for (const auto& [thread, cpus] : after) of_workers.push_back(cpus);
  const auto first = std::to_string(allowed_[0]);
  const auto second = std::to_string(allowed_[1]);
  EXPECT_THAT(of_workers, testing::UnorderedElementsAre(first, first, second, second));
  // The caller is free again, wherever it computed.
  replicas[1].run(inputs_of(2, 5, 1));
  EXPECT_EQ(allowed_cpus(), allowed_);
}

TEST_F(ReplicasOnNodes, GiveTheBitsOfOneSession) {
  std::vector<NamedTensors> batches;
  for (int64_t i = 0; i < 20; ++i) batches.push_back(inputs_of(1 + i % 3, 3 + i % 7, i));
  for (const Dtype dtype : {Dtype::f32, Dtype::i8, Dtype::undefined}) {
    const auto replicas = load({.devices = "cpu,cpu,cpu", .threads = 2, .dtype = dtype});
    EXPECT_EQ(replicas[1].options().dtype, replicas[0].options().dtype);
    EXPECT_EQ(replicas[1].explain(), replicas[0].explain());
    const auto outputs = replicas.run(batches);
    for (std::size_t i = 0; i < batches.size(); ++i) {
      for (const auto& [name, expected] : replicas[0].run(batches[i])) {
        EXPECT_THAT(outputs[i].at(name).values<float>(),
                    testing::ElementsAreArray(expected.values<float>()));
        const auto other = replicas[1].run(batches[i]);
        EXPECT_THAT(other.at(name).values<float>(),
                    testing::ElementsAreArray(expected.values<float>()));
      }
    }
    if (dtype == Dtype::undefined) continue;  // measured anew
    const auto alone = Session::load(kCheckpoint, {.threads = 1, .dtype = dtype});
    for (const auto& [name, expected] : alone.run(batches[7])) {
      EXPECT_THAT(outputs[7].at(name).values<float>(),
                  testing::ElementsAreArray(expected.values<float>()));
    }
  }
}

TEST_F(ReplicasOnNodes, ShareTheThreadsOfTheirNode) {
  const auto replicas = load({.devices = "cpu,cpu,cpu"});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(replicas[i].options().threads, 1);
  const auto parts = replicas.split(2);
  EXPECT_EQ(parts.size(), 6U);
  EXPECT_EQ(parts.nodes(), 2U);
  EXPECT_EQ(parts[5].options().cpus, CpuList{allowed_[0]});
}

TEST_F(ReplicasOnNodes, AreOnAllNodesInTheFastestLayout) {
  std::atomic<int> runs{0};
  const auto run = [&](const Session& session) {
    session.run(inputs_of(3, 20, 1));
    ++runs;
  };
  const auto fastest = tasks::fastest_replicas(load({.devices = "cpu,cpu"}), run);
  EXPECT_EQ(fastest.nodes(), 2U);
  EXPECT_EQ(fastest.size() % 2, 0U);
  EXPECT_GE(runs, 4);
}

TEST_F(ReplicasOnNodes, AreNotDealtWhereANodeWouldHaveNone) {
  const auto alone = load({.devices = "cpu", .threads = 2});
  EXPECT_THAT(alone[0].options().cpus, testing::IsEmpty());
  const auto placed = load({.devices = "cpu,cpu", .threads = 1, .cpus = {allowed_[1]}});
  EXPECT_EQ(placed.nodes(), 1U);
  EXPECT_EQ(placed[0].options().cpus, CpuList{allowed_[1]});
  const auto one_node =
      load_replicas(kCheckpoint, {.devices = "cpu,cpu", .threads = 1}, {allowed_});
  EXPECT_EQ(one_node.nodes(), 1U);
  EXPECT_THAT(one_node[1].options().cpus, testing::IsEmpty());
  EXPECT_EQ(one_node[0].stats().peak_bytes, one_node[1].stats().peak_bytes);
}

TEST_F(ReplicasOnNodes, RefuseCpusThatMayNotBeUsed) {
  EXPECT_THAT(message_of([] { Session::load(kCheckpoint, {.cpus = {1023}}); }),
              HasSubstr("may not run on CPU 1023"));
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
  EXPECT_THAT(message_of([&] { Replicas({session}).split(0); }), HasSubstr("at least one"));
  EXPECT_THAT(message_of([] { const Replicas none({}); }), HasSubstr("no sessions"));
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
