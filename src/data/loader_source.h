#pragma once
// What a loader reads: entries one after the other, which then are loaded side by side.

#include <memory>
#include <vector>

#include "tercel/data_loader.h"

namespace tercel::data {

class LoaderSource {
 public:
  virtual ~LoaderSource() = default;
  // The next entry of this rank: its index, and of a file's record all that reading alone tells;
  // false at the end. One thread at a time.
  virtual bool take(Record& record) = 0;
  // What is complete once all entries that were taken are given out; see Batch.
  virtual int64_t complete_up_to() const = 0;
  // Many threads at once; throws as Dataset::get does.
  virtual std::vector<Example> load(Record& record) const = 0;
};

std::unique_ptr<LoaderSource> map_source(std::shared_ptr<const Dataset> dataset,
                                         std::unique_ptr<Sampler> sampler);
std::unique_ptr<LoaderSource> iterable_source(std::shared_ptr<IterableDataset> dataset,
                                              int64_t rank, int64_t world_size);

}  // namespace tercel::data
