// What a session promises: the same bits whatever shares a batch, many callers at once, limits that
// hold, and errors that say what to do.

#include "tercel/session.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <future>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error_test_util.h"

namespace tercel {
namespace {

using testing::HasSubstr;

const std::filesystem::path kData = std::filesystem::path(TERCEL_SOURCE_DIR) / "tests/data";
const std::filesystem::path kCheckpoint = kData / "checkpoints/bert_qa";
constexpr int64_t kVocabulary = 61;

struct Batch {
  Tensor ids;
  Tensor mask;
  Tensor types;

  NamedTensors inputs() const {
    return {{"input_ids", ids}, {"attention_mask", mask}, {"token_type_ids", types}};
  }
};

Batch random_batch(std::mt19937& random, const std::vector<int64_t>& lengths) {
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  const auto rows = static_cast<int64_t>(lengths.size());
  Batch batch{Tensor(Dtype::i64, {rows, longest}), Tensor(Dtype::i64, {rows, longest}),
              Tensor(Dtype::i64, {rows, longest})};
  std::uniform_int_distribution<int64_t> token(1, kVocabulary - 1);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < longest; ++i) {
      const auto at = static_cast<std::size_t>(row * longest + i);
      const bool real = i < lengths[static_cast<std::size_t>(row)];
      batch.ids.values<int64_t>()[at] = real ? token(random) : 0;
      batch.mask.values<int64_t>()[at] = real ? 1 : 0;
      batch.types.values<int64_t>()[at] = real && i > 3 ? 1 : 0;
    }
  }
  return batch;
}

Batch row_of(const Batch& batch, int64_t row, int64_t length) {
  const auto cut = [&](const Tensor& tensor) {
    return tensor.slice(row, row + 1)
        .reshape({tensor.shape()[1]})
        .slice(0, length)
        .reshape({1, length})
        .clone();
  };
  return {cut(batch.ids), cut(batch.mask), cut(batch.types)};
}

class BatchInvariance : public testing::TestWithParam<std::string> {};

TEST_P(BatchInvariance, EveryRowHasTheBitsOfTheRowAlone) {
  const auto probe = error_of([] { Session::load(kCheckpoint, {.cpu_isa = GetParam()}); });
  if (probe.code() == Errc::unsupported) GTEST_SKIP() << probe.what();
  const unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  SCOPED_TRACE("seed " + std::to_string(seed));
  const Session alone = Session::load(kCheckpoint, {.threads = 1, .cpu_isa = GetParam()});
  for (const int threads : {1, 2, 3}) {
    const Session session = Session::load(kCheckpoint, {.threads = threads, .cpu_isa = GetParam()});
    for (int trial = 0; trial < 6; ++trial) {
      std::vector<int64_t> lengths(1 + random() % 9);
      for (int64_t& length : lengths) length = 1 + static_cast<int64_t>(random() % 40);
      const Batch batch = random_batch(random, lengths);
      const NamedTensors together = session.run(batch.inputs());
      for (std::size_t row = 0; row < lengths.size(); ++row) {
        const auto index = static_cast<int64_t>(row);
        const NamedTensors single = alone.run(row_of(batch, index, lengths[row]).inputs());
        for (const auto& [name, tensor] : single) {
          const Tensor in_batch = together.at(name).slice(index, index + 1);
          EXPECT_EQ(std::memcmp(in_batch.data(), tensor.data(), tensor.bytes()), 0)
              << name << " row " << row << " of " << lengths.size() << ", " << lengths[row]
              << " tokens, " << threads << " threads";
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, BatchInvariance, testing::Values("generic", "avx2", "avx512"),
                         [](const auto& info) { return info.param; });

class Callers : public testing::TestWithParam<SessionOptions> {};

TEST_P(Callers, GetTheSameFromOneSessionAtOnce) {
  const Session session = Session::load(kCheckpoint, GetParam());
  std::mt19937 random(7);
  std::vector<Batch> batches;
  std::vector<NamedTensors> expected;
  for (int i = 0; i < 4; ++i) {
    batches.push_back(random_batch(random, {5 + i, 3, 9}));
    expected.push_back(session.run(batches.back().inputs()));
  }
  std::vector<std::future<bool>> runs;
  for (std::size_t caller = 0; caller < 8; ++caller) {
    runs.push_back(std::async(std::launch::async, [&, caller] {
      for (std::size_t i = 0; i < 20; ++i) {
        const std::size_t which = (caller + i) % batches.size();
        const auto outputs = session.run(batches[which].inputs());
        for (const auto& [name, tensor] : outputs) {
          if (std::memcmp(tensor.data(), expected[which].at(name).data(), tensor.bytes()) != 0)
            return false;
        }
      }
      return true;
    }));
  }
  for (auto& run : runs) EXPECT_TRUE(run.get());
}

INSTANTIATE_TEST_SUITE_P(Session, Callers,
                         testing::Values(SessionOptions{.threads = 2},
                                         SessionOptions{.threads = 2, .throughput = true},
                                         SessionOptions{.threads = 3, .pin = true}));

TEST(AutomaticDtype, SaysWhatWasTriedAndWhatIsUsed) {
  const Session session = Session::load(kCheckpoint, {.dtype = Dtype::undefined});
  EXPECT_THAT(session.options().dtype, testing::AnyOf(Dtype::f32, Dtype::bf16, Dtype::i8));
  EXPECT_THAT(session.explain(), testing::StartsWith("dtype: f32: "));
  EXPECT_THAT(session.explain(), HasSubstr("\ndtype: int8: "));
  const bool quantized = session.options().dtype == Dtype::i8;
  const std::string used = quantized ? "int8" : std::string(to_string(session.options().dtype));
  EXPECT_THAT(session.explain(), HasSubstr("\ndtype: " + used + " is used: "));
}

// Nothing but f32 has all of f32's bits.
TEST(AutomaticDtype, KeepsTheCosine) {
  std::mt19937 random(3);
  const Batch batch = random_batch(random, {9, 4});
  const Session session = Session::load(
      kCheckpoint, {.dtype = Dtype::undefined, .least_cosine = 1.0F, .samples = {batch.inputs()}});
  EXPECT_EQ(session.options().dtype, Dtype::f32);
  const NamedTensors outputs = session.run(batch.inputs());
  for (const auto& [name, expected] : Session::load(kCheckpoint).run(batch.inputs()))
    EXPECT_EQ(std::memcmp(outputs.at(name).data(), expected.data(), expected.bytes()), 0) << name;
}

TEST(AutomaticDtype, RefusesSamplesThatTheModelCannotRun) {
  SessionOptions options{.dtype = Dtype::undefined};
  options.samples = {{{"input_ids", Tensor(Dtype::f32, {1, 4})}}};
  const Error error = error_of([&] { Session::load(kCheckpoint, options); });
  EXPECT_EQ(error.code(), Errc::invalid_argument);
  EXPECT_THAT(error.what(), HasSubstr("input_ids"));
  options.samples = {{{"words", Tensor(Dtype::i64, {1, 4})}}};
  EXPECT_THAT(error_of([&] { Session::load(kCheckpoint, options); }).what(), HasSubstr("words"));
  options.samples.clear();
  options.least_cosine = 2;
  EXPECT_THAT(error_of([&] { Session::load(kCheckpoint, options); }).what(),
              HasSubstr("least_cosine"));
}

TEST(Session, WaitingForAThreadEndsAtTheDeadline) {
  const Session session = Session::load(kCheckpoint, {.threads = 1, .throughput = true});
  std::mt19937 random(14);
  const Batch large = random_batch(random, std::vector<int64_t>(64, 40));
  const Batch small = random_batch(random, {3});
  CancelFlag cancel(false);
  auto busy = std::async(std::launch::async, [&] {
    return error_of([&] {
      while (true) session.run(large.inputs(), {}, {.cancel = &cancel});
    });
  });
  const auto past = std::chrono::steady_clock::now();
  EXPECT_EQ(error_of([&] { session.run(small.inputs(), {}, {.deadline = past}); }).code(),
            Errc::deadline_exceeded);
  EXPECT_EQ(session.run(small.inputs()).size(), 2U);  // its turn comes
  cancel = true;
  EXPECT_EQ(busy.get().code(), Errc::cancelled);
}

TEST(Session, BoundRunsGiveTheSameAndAllocateNothing) {
  const Session session = Session::load(kCheckpoint, {.threads = 2});
  std::mt19937 random(8);
  const Batch batch = random_batch(random, {7, 4});
  const auto expected = session.run(batch.inputs());
  IoBinding binding = session.bind();
  for (const auto& [name, tensor] : batch.inputs()) binding.bind_input(name, tensor);
  Tensor start(Dtype::f32, {2, 7});
  binding.bind_output("start_logits", start);
  session.run(binding);
  const std::size_t peak = session.stats().peak_bytes;
  for (int i = 0; i < 3; ++i) session.run(binding);
  EXPECT_EQ(session.stats().peak_bytes, peak);
  EXPECT_EQ(binding.output("start_logits").data(), start.data());
  EXPECT_EQ(std::memcmp(start.data(), expected.at("start_logits").data(), start.bytes()), 0);

  EXPECT_THAT(error_of([&] { binding.bind_output("start_logits", start, Memory::device); }).what(),
              HasSubstr("the session runs on cpu"));
  EXPECT_EQ(error_of([&] { binding.bind_input("nothing", start); }).code(), Errc::not_found);
  EXPECT_EQ(error_of([&] { binding.bind_input("input_ids", start); }).code(),
            Errc::invalid_argument);
  binding.bind_output("start_logits", Tensor(Dtype::f32, {3, 7}));
  EXPECT_THAT(error_of([&] { session.run(binding); }).what(), HasSubstr("this run gives f32 2x7"));
}

TEST(Session, OnlyWantedOutputsAreComputed) {
  const Session session = Session::load(kCheckpoint);
  std::mt19937 random(9);
  const auto outputs = session.run(random_batch(random, {6}).inputs(), {"end_logits"});
  EXPECT_EQ(outputs.size(), 1U);
  EXPECT_EQ(outputs.at("end_logits").shape(), (Shape{1, 6}));
}

TEST(Session, CancelAndDeadlineEndARun) {
  const Session session = Session::load(kCheckpoint);
  std::mt19937 random(10);
  const Batch batch = random_batch(random, {6});
  const CancelFlag cancelled(true);
  EXPECT_EQ(error_of([&] { session.run(batch.inputs(), {}, {.cancel = &cancelled}); }).code(),
            Errc::cancelled);
  const auto past = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  EXPECT_EQ(error_of([&] { session.run(batch.inputs(), {}, {.deadline = past}); }).code(),
            Errc::deadline_exceeded);
  EXPECT_EQ(session.run(batch.inputs()).size(), 2U);  // the session is as good as before
}

TEST(Session, IsCancelledFromAnotherThread) {
  const Session session = Session::load(kCheckpoint, {.threads = 2});
  std::mt19937 random(13);
  const Batch batch = random_batch(random, std::vector<int64_t>(64, 40));
  CancelFlag cancel(false);
  std::atomic<int> runs{0};
  auto ended = std::async(std::launch::async, [&] {
    return error_of([&] {
      while (true) {
        session.run(batch.inputs(), {}, {.cancel = &cancel});
        ++runs;
      }
    });
  });
  while (runs < 2) std::this_thread::yield();
  cancel = true;
  EXPECT_EQ(ended.get().code(), Errc::cancelled);
}

TEST(Session, MemoryLimitHolds) {
  const auto load = error_of([] { Session::load(kCheckpoint, {.memory_limit = 1000}); });
  EXPECT_EQ(load.code(), Errc::out_of_memory);
  const Session session =
      Session::load(kCheckpoint, {.threads = 2, .memory_limit = std::size_t{2} << 20});
  std::mt19937 random(11);
  EXPECT_EQ(session.run(random_batch(random, {4}).inputs()).size(), 2U);
  const Batch large = random_batch(random, std::vector<int64_t>(500, 40));
  const auto run = error_of([&] { session.run(large.inputs()); });
  EXPECT_EQ(run.code(), Errc::out_of_memory);
  EXPECT_THAT(run.what(), HasSubstr("the memory limit is 2097152"));
  EXPECT_LE(session.stats().peak_bytes, std::size_t{2} << 20);
}

TEST(Session, WrongInputsAreNamed) {
  const Session session = Session::load(kCheckpoint);
  std::mt19937 random(12);
  const Batch batch = random_batch(random, {6});
  auto inputs = batch.inputs();
  inputs.erase("attention_mask");
  EXPECT_THAT(error_of([&] { session.run(inputs); }).what(),
              HasSubstr("\"attention_mask\" is missing"));
  inputs = batch.inputs();
  inputs["surplus"] = batch.ids;
  EXPECT_THAT(error_of([&] { session.run(inputs); }).what(), HasSubstr("no input \"surplus\""));
  inputs = batch.inputs();
  inputs["input_ids"] = Tensor(Dtype::f32, {1, 6});
  EXPECT_THAT(error_of([&] { session.run(inputs); }).what(), HasSubstr("has element type f32"));
  inputs["input_ids"] = Tensor(Dtype::i64, {6});
  EXPECT_THAT(error_of([&] { session.run(inputs); }).what(), HasSubstr("has shape 6"));
  inputs["input_ids"] = batch.ids.slice(0, 1).reshape({6}).slice(0, 5).reshape({1, 5});
  EXPECT_THAT(error_of([&] { session.run(inputs); }).what(), HasSubstr("\"sequence\" is 5"));
  inputs["input_ids"] = Tensor::from(std::vector<int64_t>(6, 1000), {1, 6});
  EXPECT_THAT(error_of([&] { session.run(inputs); }).what(), HasSubstr("1000"));
}

TEST(Session, EmptyBatchesGiveEmptyOutputs) {
  const Session session = Session::load(kCheckpoint);
  const Tensor empty(Dtype::i64, {0, 6});
  const auto outputs =
      session.run({{"input_ids", empty}, {"attention_mask", empty}, {"token_type_ids", empty}});
  EXPECT_EQ(outputs.at("start_logits").shape(), (Shape{0, 6}));
}

TEST(Session, WrongPathsAndOptionsAreNamed) {
  EXPECT_EQ(error_of([] { Session::load("no/such/model.onnx"); }).code(), Errc::not_found);
  EXPECT_EQ(error_of([] { Session::load(kData); }).code(), Errc::not_found);
  EXPECT_EQ(error_of([] { Session::load(kCheckpoint, {.devices = "tpu"}); }).code(),
            Errc::invalid_argument);
  EXPECT_EQ(error_of([] { Session::load(kCheckpoint, {.threads = -1}); }).code(),
            Errc::invalid_argument);
  EXPECT_EQ(error_of([] { Session::load(kCheckpoint, {.dtype = Dtype::i64}); }).code(),
            Errc::invalid_argument);
  const Error fp8 = error_of([] { Session::load(kCheckpoint, {.dtype = Dtype::f8e4m3fn}); });
  EXPECT_EQ(fp8.code(), Errc::unsupported);
  EXPECT_THAT(fp8.what(), HasSubstr("choose int8"));
  EXPECT_EQ(error_of([] { Session::load(kCheckpoint, {.cpu_isa = "mmx"}); }).code(),
            Errc::invalid_argument);
  EXPECT_EQ(error_of([] { Session::load(kCheckpoint, {.task = "flying"}); }).code(),
            Errc::invalid_argument);
}

}  // namespace
}  // namespace tercel
