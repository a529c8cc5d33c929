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
  PlannedBatch batch_of(std::vector<std::pair<Example, std::size_t>> members) const;
  int64_t look_ahead() const;

  const DataLoaderOptions& options_;
  int64_t begin_;                                         // number of the block's first record
  int64_t end_;                                           // and of the one behind its last
  std::deque<std::pair<Example, std::size_t>> examples_;  // with their bytes
  std::vector<Record> rejected_;
  std::size_t bytes_ = 0;
};

}  // namespace tercel::data
