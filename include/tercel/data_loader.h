#pragma once
// From a data set to batches, ahead of whoever computes, in the vocabulary of torch.utils.data.
//
//   auto dataset = std::make_shared<ReaderDataset>(open_reader({"texts-*.jsonl.gz"}), tokenize);
//   DataLoader loader(dataset, {.max_tokens = 4096, .collate = PadCollate(…), .workers = 2});
//   while (auto batch = loader.next()) session.run(batch->inputs);
//
// Workers read, make examples (parse, tokenise) and collate. With `max_tokens`, batches are made
// of examples of similar length: the loader looks ahead by a block of examples, sorts it, and cuts
// it. A block is whole before the next one begins, so whoever wants results in the order of the
// input holds back no more than a block; and where blocks end depends on the records alone, never
// on timing, so batches are the same at every run.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tercel/dataset.h"
#include "tercel/export.h"

namespace tercel::data {

// The order in which a map-style data set is read.
class TERCEL_API Sampler {
 public:
  virtual ~Sampler() = default;
  virtual std::optional<int64_t> next() = 0;
  virtual int64_t size() const = 0;
  // Begins anew; another epoch is another order where there is chance in it.
  virtual void reset(uint64_t epoch) = 0;
};

class TERCEL_API SequentialSampler : public Sampler {
 public:
  explicit SequentialSampler(int64_t size) : size_(size) {}
  std::optional<int64_t> next() override;
  int64_t size() const override { return size_; }
  void reset(uint64_t epoch) override;

 private:
  int64_t size_;
  int64_t next_ = 0;
};

// Every index once, in an order that (seed, epoch) decides, on every machine the same.
class TERCEL_API RandomSampler : public Sampler {
 public:
  RandomSampler(int64_t size, uint64_t seed);
  std::optional<int64_t> next() override;
  int64_t size() const override { return static_cast<int64_t>(order_.size()); }
  void reset(uint64_t epoch) override;

 private:
  uint64_t seed_;
  std::vector<int64_t> order_;
  std::size_t next_ = 0;
};

// Every world_size-th index of another sampler, from the rank-th on. All ranks get the same number:
// the first indices are given again at the end, or with drop_last the last ones are left out.
class TERCEL_API DistributedSampler : public Sampler {
 public:
  DistributedSampler(std::unique_ptr<Sampler> sampler, int64_t rank, int64_t world_size,
                     bool drop_last = false);
  std::optional<int64_t> next() override;
  int64_t size() const override;
  void reset(uint64_t epoch) override;

 private:
  std::optional<int64_t> pull();

  std::unique_ptr<Sampler> sampler_;
  int64_t rank_;
  int64_t world_size_;
  bool drop_last_;
  int64_t pulled_ = 0;
  std::vector<int64_t> first_;  // world_size indices, to fill up with
};

// Indices in groups, as DataLoader makes them of a map-style data set without `max_tokens`.
class TERCEL_API BatchSampler {
 public:
  BatchSampler(std::unique_ptr<Sampler> sampler, int64_t batch_size, bool drop_last);
  std::vector<int64_t> next();  // empty at the end
  int64_t size() const;         // batches

 private:
  std::unique_ptr<Sampler> sampler_;
  int64_t batch_size_;
  bool drop_last_;
};

struct Batch {
  NamedTensors inputs;            // of the model
  std::vector<Example> examples;  // in the order of the rows; without their features
  int64_t tokens = 0;             // the sum of their lengths
  // Bad records that were met, in order; each is in one batch.
  std::vector<Record> rejected;
  // Set when a block ends here: every record of this rank with an index below is in this batch or
  // an earlier one; of a map-style data set, so many of the sampler's indices are. Such a batch may
  // be without examples, when all records of a block were bad.
  std::optional<int64_t> complete_up_to;
};

// What a batch's features become: the model's inputs.
using Collate = std::function<NamedTensors(const std::vector<Example>& examples)>;

// Features of equal shapes, one on top of the other. Throws Errc::invalid_argument, naming the
// feature, when shapes or types differ.
TERCEL_API NamedTensors stack_collate(const std::vector<Example>& examples);

// Features of rank 1 and different lengths, padded to the longest; and a mask.
class TERCEL_API PadCollate {
 public:
  struct Input {
    std::string name;
    Dtype dtype = Dtype::i64;  // i32 or i64
    int64_t padding = 0;
    bool is_mask = false;  // 1 where a token stands, 0 in the padding; no feature is needed
  };
  // `batch` and `length`: the model's, where they are fixed; 0 otherwise. A model of a fixed batch
  // size gets the last row repeated.
  explicit PadCollate(std::vector<Input> inputs, int64_t batch = 0, int64_t length = 0)
      : inputs_(std::move(inputs)), batch_(batch), length_(length) {}
  NamedTensors operator()(const std::vector<Example>& examples) const;

 private:
  std::vector<Input> inputs_;
  int64_t batch_;
  int64_t length_;
};

struct DataLoaderOptions {
  // Examples of a batch at most; with max_tokens, 0 is any number.
  int64_t batch_size = 1;
  // Tokens of a batch at most (one that is longer is a batch alone). 0: batches are batch_size
  // examples in the order of arrival.
  int64_t max_tokens = 0;
  // Whether the model computes on padding: then a batch's tokens are rows times the longest, and at
  // most a quarter of a batch is padding.
  bool count_padding = false;
  Collate collate;  // stack_collate when empty
  // Threads that load; 0: whoever calls next() does.
  int workers = 1;
  int prefetch = 2;  // batches that are ready ahead
  bool shuffle = false;
  bool drop_last = false;  // leave out a last batch of fewer than batch_size
  // torch's option, for batches in page-locked memory: refused, because sessions on a GPU keep such
  // memory themselves.
  bool pin_memory = false;
  uint64_t seed = 0;
  // This process reads every world_size-th example, from the rank-th on.
  int64_t rank = 0;
  int64_t world_size = 1;
  // Records that are looked ahead at to find those of similar length.
  int64_t look_ahead = 4096;
  // Bytes that loaded examples may take, beside the one that is being read. A block ends at a
  // quarter of it.
  std::size_t memory_limit = std::size_t{256} << 20;
  // A bad record ends the loading, with an error that names its place.
  bool strict = false;
  // The number of the first record of an iterable data set, when those before have been read
  // already by another run.
  int64_t first_record = 0;
};

struct DataLoaderStats {
  int64_t records = 0;         // read, bad ones included
  int64_t rejected = 0;        // bad ones
  int64_t examples = 0;        // given out
  int64_t tokens = 0;          // given out
  int64_t batches = 0;         // given out
  double wait_seconds = 0;     // that callers of next() have waited, together
  std::size_t peak_bytes = 0;  // most that loaded examples took
};

class TERCEL_API DataLoader {
 public:
  // Throws Errc::invalid_argument for options that make no sense together.
  explicit DataLoader(std::shared_ptr<const Dataset> dataset, DataLoaderOptions options = {});
  DataLoader(std::shared_ptr<const Dataset> dataset, std::unique_ptr<Sampler> sampler,
             DataLoaderOptions options);
  explicit DataLoader(std::shared_ptr<IterableDataset> dataset, DataLoaderOptions options = {});
  ~DataLoader();  // waits for what the workers are at
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  // The next batch; nothing at the end. May be called by several threads: each gets batches of its
  // own, in order. What a worker met comes here too, behind the batches before it.
  std::optional<Batch> next();

  DataLoaderStats stats() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace tercel::data
