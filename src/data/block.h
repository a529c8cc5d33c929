#pragma once
// Where loaded records become batches: they are put in here in the order of the input, and come out
// as blocks, cut into batches.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <optional>
#include <vector>

#include "src/data/batching.h"
#include "tercel/data_loader.h"

namespace tercel::data {

// A record on its way: what was read of it, then what it became.
struct Loaded {
  Record record;  // a bad one has an `error`
  std::vector<Example> examples;
  std::size_t bytes = 0;
  int64_t complete_up_to = 0;  // once it is given out; see Batch
};

// A batch that is not collated yet.
struct PlannedBatch {
  Batch batch;  // its examples with their features, no inputs
  std::size_t bytes = 0;
  bool begins_block = false;
  std::exception_ptr error;  // instead of a batch: loading ends here
};

class Blocks {
 public:
  explicit Blocks(const DataLoaderOptions& options);

  // Adds the next record of the input; whole blocks go to the end of `planned`.
  void add(Loaded loaded, std::deque<PlannedBatch>& planned);
  // The input has ended: the rest is a block.
  void finish(std::deque<PlannedBatch>& planned);

 private:
  bool is_whole() const;
  void close(std::deque<PlannedBatch>& planned);
  void cut_in_order(std::deque<PlannedBatch>& planned, bool all);
  PlannedBatch cut_first(std::size_t count);
  void cut_by_length(std::deque<PlannedBatch>& planned);
  struct Waiting {
    Example example;
    std::size_t bytes;
    int64_t begin;  // what is complete without its record
  };
  PlannedBatch batch_of(std::vector<Waiting> members) const;
  int64_t look_ahead() const;

  const DataLoaderOptions& options_;
  int64_t begin_;         // what was complete when the block began
  int64_t end_;           // what is complete with it
  int64_t in_block_ = 0;  // records
  std::deque<Waiting> examples_;
  std::vector<Record> rejected_;
  std::size_t bytes_ = 0;
};

}  // namespace tercel::data
