#pragma once
// A data set that remembers a checksum of what was read before each record, so that another run can
// tell whether its input begins with the same records.

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>

#include "tercel/dataset.h"

namespace tercel::data {

class CheckedDataset : public IterableDataset {
 public:
  explicit CheckedDataset(std::shared_ptr<IterableDataset> dataset)
      : dataset_(std::move(dataset)) {}

  bool next(Record& record) override;
  std::vector<Example> examples(Record& record) const override {
    return dataset_->examples(record);
  }

  // Reads `count` records away; false when there are fewer.
  bool skip(int64_t count);
  // Of the records before number `index`, which next() has given. Earlier ones are forgotten. From
  // any thread.
  uint32_t checksum_before(int64_t index);

 private:
  std::shared_ptr<IterableDataset> dataset_;
  std::mutex mutex_;                   // guards what follows
  std::deque<uint32_t> checksums_{0};  // before record first_, and those behind it
  int64_t first_ = 0;
};

}  // namespace tercel::data
