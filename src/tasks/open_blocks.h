#pragma once
// Results that wait for those before them, in blocks of records that are written together.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "src/tasks/result_files.h"
#include "tercel/data_loader.h"

namespace tercel::tasks {

// What became of a record, until it is written.
struct Outcome {
  RecordResult result;
  std::optional<data::Record> rejected;
};

// Records [.., end).
struct OpenBlock {
  std::optional<int64_t> end;  // once all of its batches were taken
  std::size_t jobs_left = 0;
  std::map<int64_t, Outcome> outcomes;  // by record
};

// For one thread at a time.
class OpenBlocks {
 public:
  std::size_t size() const { return blocks_.size(); }

  // The batch's records are on their way, its bad ones are moved out of it. Whether it ends a
  // block.
  bool note(data::Batch& batch) {
    if (blocks_.empty() || blocks_.back().end) blocks_.emplace_back();
    OpenBlock& block = blocks_.back();
    for (const data::Example& example : batch.examples) {
      if (block.outcomes.try_emplace(example.record).second) ++block.jobs_left;
    }
    for (data::Record& record : batch.rejected) {
      const int64_t index = record.index;
      block.outcomes[index].rejected = std::move(record);
    }
    block.end = batch.complete_up_to;
    return block.end.has_value();
  }

  // Whether it was the last of its block that was missing.
  bool add(int64_t record, RecordResult result) {
    const auto block = std::find_if(blocks_.begin(), blocks_.end(), [&](const OpenBlock& one) {
      return !one.end || record < *one.end;
    });
    block->outcomes[record].result = std::move(result);
    return --block->jobs_left == 0;
  }

  // The first one has all of its results.
  bool is_ready() const {
    return !blocks_.empty() && blocks_.front().end && blocks_.front().jobs_left == 0;
  }
  // When is_ready().
  OpenBlock take() {
    OpenBlock block = std::move(blocks_.front());
    blocks_.pop_front();
    return block;
  }

 private:
  std::deque<OpenBlock> blocks_;
};

}  // namespace tercel::tasks
