// The loader: every example once, in blocks, whatever the number of workers; errors in their place.

#include "tercel/data_loader.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/error_test_util.h"
#include "src/base/fail.h"
#include "src/data/batching.h"

namespace tercel::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Lengths that depend on the index alone; every 97th is bad when asked for.
class Numbers : public Dataset, public IterableDataset {
 public:
  explicit Numbers(int64_t size, bool with_bad = false) : size_(size), with_bad_(with_bad) {}

  int64_t size() const override { return size_; }

  Example get(int64_t index) const override {
    if (with_bad_ && index % 97 == 5) fail(Errc::invalid_argument, "bad {}", index);
    if (index == fatal_at) fail(Errc::io, "the disk is gone");
    Example example;
    example.length = 1 + index * 7919 % 50;
    example.features.emplace(
        "ids", Tensor::from(std::vector<int64_t>(static_cast<std::size_t>(example.length), index),
                            {example.length}));
    return example;
  }

  bool next(Record& record) override {
    record = Record();
    record.index = next_;
    record.line = next_ + 1;
    return next_++ < size_;
  }

  std::vector<Example> examples(Record& record) const override {
    std::vector<Example> list;
    list.push_back(get(record.index));
    return list;
  }

  int64_t fatal_at = -1;

 private:
  int64_t size_;
  bool with_bad_;
  int64_t next_ = 0;
};

Collate pad() { return PadCollate({{"ids", Dtype::i64, -1}, {"mask", Dtype::i64, 0, true}}); }

std::vector<Batch> all_batches(DataLoader& loader) {
  std::vector<Batch> batches;
  while (auto batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

std::vector<int64_t> records_of(const std::vector<Batch>& batches) {
  std::vector<int64_t> records;
  for (const Batch& batch : batches) {
    for (const Example& example : batch.examples) records.push_back(example.record);
  }
  return records;
}

class Workers : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(, Workers, testing::Values(0, 1, 2, 5));

TEST_P(Workers, GiveBatchesInOrder) {
  DataLoader loader(std::make_shared<const Numbers>(103),
                    {.batch_size = 10, .collate = pad(), .workers = GetParam()});
  const auto batches = all_batches(loader);
  ASSERT_EQ(batches.size(), 11U);
  std::vector<int64_t> expected(103);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(records_of(batches), expected);
  EXPECT_EQ(batches[3].complete_up_to, 40);
  EXPECT_EQ(batches[10].complete_up_to, 103);
  const Tensor& ids = batches[10].inputs.at("ids");
  EXPECT_EQ(ids.shape()[0], 3);
  EXPECT_EQ(loader.stats().examples, 103);
}

// Blocks, batches and their order are those of one worker; only who computed what differs.
TEST_P(Workers, GiveTheSameBatchesByLength) {
  const auto make = [](int workers) {
    return DataLoaderOptions{.batch_size = 0,
                             .max_tokens = 200,
                             .collate = pad(),
                             .workers = workers,
                             .look_ahead = 300};
  };
  DataLoader alone(std::shared_ptr<IterableDataset>(new Numbers(2000, true)), make(0));
  DataLoader loader(std::shared_ptr<IterableDataset>(new Numbers(2000, true)), make(GetParam()));
  const auto expected = all_batches(alone);
  const auto batches = all_batches(loader);
  ASSERT_EQ(batches.size(), expected.size());
  EXPECT_EQ(records_of(batches), records_of(expected));
  int64_t complete = 0;
  std::multiset<int64_t> seen;
  for (const Batch& batch : batches) {
    EXPECT_LE(batch.tokens, 200);
    int64_t sum = 0;
    for (const Example& example : batch.examples) sum += example.length;
    EXPECT_EQ(batch.tokens, sum);
    for (const Example& example : batch.examples) seen.insert(example.record);
    for (const Record& record : batch.rejected) {
      EXPECT_EQ(record.index % 97, 5);
      seen.insert(record.index);
    }
    if (!batch.complete_up_to) continue;
    EXPECT_GT(*batch.complete_up_to, complete);
    complete = *batch.complete_up_to;
    EXPECT_EQ(static_cast<int64_t>(seen.size()), complete);
    EXPECT_EQ(*seen.rbegin(), complete - 1);
  }
  EXPECT_EQ(complete, 2000);
  EXPECT_EQ(loader.stats().rejected, 21);
}

TEST_P(Workers, ReportAnErrorBehindWhatCameBefore) {
  auto numbers = std::make_shared<Numbers>(500);
  numbers->fatal_at = 137;
  DataLoader loader(std::shared_ptr<const Dataset>(numbers),
                    {.batch_size = 10, .collate = pad(), .workers = GetParam()});
  int64_t given = 0;
  const auto error = error_of([&] {
    while (const auto batch = loader.next()) given += static_cast<int64_t>(batch->examples.size());
  });
  EXPECT_EQ(error.code(), Errc::io);
  EXPECT_EQ(given, 137);
  EXPECT_EQ(error_of([&] { loader.next(); }).code(), Errc::io);
}

TEST_P(Workers, StopAtABadRecordWhenStrict) {
  DataLoader loader(std::shared_ptr<IterableDataset>(new Numbers(50, true)),
                    {.batch_size = 1, .workers = GetParam(), .strict = true});
  int64_t given = 0;
  const auto error = error_of([&] {
    while (loader.next()) ++given;
  });
  EXPECT_EQ(given, 5);
  EXPECT_THAT(error.what(), HasSubstr("record 5: bad 5"));
}

TEST_P(Workers, ServeSeveralCallers) {
  DataLoader loader(std::make_shared<const Numbers>(1000),
                    {.batch_size = 3, .collate = pad(), .workers = GetParam()});
  std::mutex mutex;
  std::multiset<int64_t> seen;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 3; ++i) {
      callers.emplace_back([&] {
        while (const auto batch = loader.next()) {
          const std::lock_guard lock(mutex);
          for (const Example& example : batch->examples) seen.insert(example.record);
        }
      });
    }
  }
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_EQ(std::set<int64_t>(seen.begin(), seen.end()).size(), 1000U);
}

TEST_P(Workers, MayBeLeftEarly) {
  DataLoader loader(std::make_shared<const Numbers>(100000),
                    {.batch_size = 4, .collate = pad(), .workers = GetParam()});
  EXPECT_TRUE(loader.next().has_value());
}

TEST(DataLoader, KeepsItsBudget) {
  const std::size_t limit = std::size_t{256} << 10;
  DataLoader loader(std::shared_ptr<IterableDataset>(new Numbers(20000)), {.batch_size = 0,
                                                                           .max_tokens = 256,
                                                                           .collate = pad(),
                                                                           .workers = 2,
                                                                           .look_ahead = 20000,
                                                                           .memory_limit = limit});
  EXPECT_EQ(records_of(all_batches(loader)).size(), 20000U);
  EXPECT_LE(loader.stats().peak_bytes, limit);
}

TEST(DataLoader, ABlockThatBeginsLaterIsTheSameBlock) {
  const auto options = [](int64_t first) {
    return DataLoaderOptions{
        .batch_size = 0, .max_tokens = 100, .collate = pad(), .first_record = first};
  };
  DataLoader whole(std::shared_ptr<IterableDataset>(new Numbers(3000)), options(0));
  std::vector<Batch> batches = all_batches(whole);
  const auto at = std::find_if(batches.begin(), batches.end(),
                               [](const Batch& batch) { return batch.complete_up_to == 512; });
  ASSERT_NE(at, batches.end());
  batches.erase(batches.begin(), at + 1);
  auto rest = std::make_shared<Numbers>(3000);
  Record record;
  for (int i = 0; i < 512; ++i) rest->next(record);
  DataLoader second(std::shared_ptr<IterableDataset>(rest), options(512));
  EXPECT_EQ(records_of(all_batches(second)), records_of(batches));
}

TEST(DataLoader, RanksShareAnIterableDataSet) {
  std::vector<int64_t> all;
  for (int64_t rank = 0; rank < 3; ++rank) {
    DataLoader loader(std::shared_ptr<IterableDataset>(new Numbers(100)),
                      {.batch_size = 7, .collate = pad(), .rank = rank, .world_size = 3});
    for (const int64_t record : records_of(all_batches(loader))) {
      EXPECT_EQ(record % 3, rank);
      all.push_back(record);
    }
  }
  EXPECT_EQ(all.size(), 100U);
}

TEST(DataLoader, ABlockOfARankEndsAtItsLastRecord) {
  for (const int64_t max_tokens : {0, 60}) {
    DataLoader loader(std::shared_ptr<IterableDataset>(new Numbers(1000)),
                      {.batch_size = max_tokens > 0 ? 0 : 7,
                       .max_tokens = max_tokens,
                       .collate = pad(),
                       .rank = 1,
                       .world_size = 3,
                       .look_ahead = 100});
    std::set<int64_t> seen;
    int64_t complete = 0;
    while (const auto batch = loader.next()) {
      for (const Example& example : batch->examples) seen.insert(example.record);
      if (!batch->complete_up_to) continue;
      complete = *batch->complete_up_to;
      EXPECT_EQ(static_cast<int64_t>(seen.size()), (complete + 1) / 3);
      EXPECT_EQ(*seen.rbegin(), complete - 1);
    }
    EXPECT_EQ(complete, 998);
  }
}

TEST(DataLoader, ShufflesBySeedAndSharesAmongRanks) {
  const auto records = [](uint64_t seed, int64_t rank, int64_t world_size) {
    DataLoader loader(std::make_shared<const Numbers>(90), {.batch_size = 4,
                                                            .collate = pad(),
                                                            .workers = 2,
                                                            .shuffle = true,
                                                            .seed = seed,
                                                            .rank = rank,
                                                            .world_size = world_size});
    return records_of(all_batches(loader));
  };
  const auto whole = records(3, 0, 1);
  EXPECT_EQ(std::set<int64_t>(whole.begin(), whole.end()).size(), 90U);
  EXPECT_FALSE(std::is_sorted(whole.begin(), whole.end()));
  EXPECT_EQ(records(3, 0, 1), whole);
  EXPECT_NE(records(4, 0, 1), whole);
  for (int64_t rank = 0; rank < 3; ++rank) {
    const auto mine = records(3, rank, 3);
    ASSERT_EQ(mine.size(), 30U);
    for (std::size_t i = 0; i < mine.size(); ++i)
      EXPECT_EQ(mine[i], whole[3 * i + static_cast<std::size_t>(rank)]);
  }
}

TEST(DataLoader, DropsTheLastShortBatch) {
  DataLoader loader(std::make_shared<const Numbers>(23),
                    {.batch_size = 5, .collate = pad(), .drop_last = true});
  EXPECT_EQ(all_batches(loader).size(), 4U);
  DataLoader empty(std::make_shared<const Numbers>(0));
  EXPECT_FALSE(empty.next().has_value());
}

TEST(DataLoader, RefusesOptionsThatMakeNoSense) {
  const auto refuse = [](DataLoaderOptions options, const std::string& word) {
    const auto error =
        error_of([&] { DataLoader(std::shared_ptr<IterableDataset>(new Numbers(1)), options); });
    EXPECT_THAT(error.what(), HasSubstr(word));
  };
  refuse({.batch_size = 0}, "batch_size = 0");
  refuse({.workers = -1}, "workers");
  refuse({.prefetch = 0}, "prefetch");
  refuse({.shuffle = true}, "map-style");
  refuse({.max_tokens = 10, .drop_last = true}, "drop_last");
  refuse({.rank = 2, .world_size = 2}, "rank 2 of 2");
  refuse({.pin_memory = true}, "pin_memory");
  EXPECT_THAT(
      error_of([] { DataLoader(std::make_shared<const Numbers>(1), {.world_size = 0}); }).what(),
      HasSubstr("world_size = 0"));
}

TEST(Samplers, GiveEveryIndexOnce) {
  RandomSampler random(1000, 7);
  std::vector<int64_t> first;
  while (const auto index = random.next()) first.push_back(*index);
  EXPECT_EQ(std::set<int64_t>(first.begin(), first.end()).size(), 1000U);
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
  random.reset(1);
  std::vector<int64_t> second;
  while (const auto index = random.next()) second.push_back(*index);
  EXPECT_NE(first, second);
  RandomSampler again(1000, 7);
  EXPECT_EQ(*again.next(), first[0]);
}

TEST(Samplers, ShareIndicesAmongRanks) {
  const auto shares = [](bool drop_last) {
    std::vector<std::vector<int64_t>> all;
    for (int64_t rank = 0; rank < 3; ++rank) {
      DistributedSampler sampler(std::make_unique<SequentialSampler>(8), rank, 3, drop_last);
      auto& mine = all.emplace_back();
      while (const auto index = sampler.next()) mine.push_back(*index);
      EXPECT_EQ(static_cast<int64_t>(mine.size()), sampler.size());
    }
    return all;
  };
  EXPECT_THAT(shares(false),
              ElementsAre(ElementsAre(0, 3, 6), ElementsAre(1, 4, 7), ElementsAre(2, 5, 0)));
  EXPECT_THAT(shares(true), ElementsAre(ElementsAre(0, 3), ElementsAre(1, 4), ElementsAre(2, 5)));
  BatchSampler batches(std::make_unique<SequentialSampler>(5), 2, false);
  EXPECT_EQ(batches.size(), 3);
  EXPECT_THAT(batches.next(), ElementsAre(0, 1));
  EXPECT_THAT(batches.next(), ElementsAre(2, 3));
  EXPECT_THAT(batches.next(), ElementsAre(4));
  EXPECT_TRUE(batches.next().empty());
}

TEST(Batching, KeepsGroupsAndBudgetApart) {
  const std::vector<RowSize> rows = {{5, 0}, {9, 0}, {30, 1}, {1, 0}, {9, 1}, {5, 0}};
  EXPECT_THAT(batches_by_length(rows, {.max_tokens = 15}),
              ElementsAre(ElementsAre(1, 0), ElementsAre(5, 3), ElementsAre(2), ElementsAre(4)));
  EXPECT_THAT(batches_by_length(rows, {.max_rows = 1, .max_tokens = 15}), testing::SizeIs(6));
  EXPECT_THAT(batches_by_length(rows, {.max_tokens = 100, .count_padding = true}),
              ElementsAre(ElementsAre(1), ElementsAre(0, 5), ElementsAre(3), ElementsAre(2),
                          ElementsAre(4)));
  EXPECT_TRUE(batches_by_length({}, {.max_tokens = 1}).empty());
}

TEST(Collating, PadsAndStacks) {
  std::vector<Example> examples(2);
  examples[0].length = 2;
  examples[0].features.emplace("ids", Tensor::from<int32_t>({7, 8}, {2}));
  examples[1].length = 1;
  examples[1].features.emplace("ids", Tensor::from<int32_t>({9}, {1}));
  const auto inputs = pad()(examples);
  EXPECT_THAT(inputs.at("ids").values<int64_t>(), ElementsAre(7, 8, 9, -1));
  EXPECT_THAT(inputs.at("mask").values<int64_t>(), ElementsAre(1, 1, 1, 0));
  EXPECT_THAT(error_of([&] { stack_collate(examples); }).what(),
              HasSubstr("feature \"ids\" is i32 2 in record 0, and i32 1 in record 0"));
  const PadCollate fixed({{"ids", Dtype::i32, 0}}, 3, 4);
  EXPECT_EQ(fixed(examples).at("ids").shape(), (Shape{3, 4}));
  for (const int64_t length : {5, -1}) {
    examples[0].length = length;
    const PadCollate mask({{"mask", Dtype::i64, 0, true}}, 2, 4);
    EXPECT_THAT(error_of([&] { mask(examples); }).what(), HasSubstr("tokens where 4 fit"));
  }
  examples[1].features.at("ids") = Tensor::from<int32_t>({1, 2}, {2});
  EXPECT_EQ(stack_collate(examples).at("ids").shape(), (Shape{2, 2}));
}

}  // namespace
}  // namespace tercel::data
