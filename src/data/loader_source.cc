#include "src/data/loader_source.h"

#include <utility>

namespace tercel::data {
namespace {

class MapSource : public LoaderSource {
 public:
  MapSource(std::shared_ptr<const Dataset> dataset, std::unique_ptr<Sampler> sampler)
      : dataset_(std::move(dataset)), sampler_(std::move(sampler)) {}

  bool take(Record& record) override {
    const auto index = sampler_->next();
    if (!index) return false;
    record.index = *index;
    ++taken_;
    return true;
  }

  int64_t complete_up_to() const override { return taken_; }

  std::vector<Example> load(Record& record) const override {
    std::vector<Example> examples;
    examples.push_back(dataset_->get(record.index));
    return examples;
  }

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::unique_ptr<Sampler> sampler_;
  int64_t taken_ = 0;
};

class IterableSource : public LoaderSource {
 public:
  IterableSource(std::shared_ptr<IterableDataset> dataset, int64_t rank, int64_t world_size)
      : dataset_(std::move(dataset)), rank_(rank), world_size_(world_size) {}

  bool take(Record& record) override {
    while (dataset_->next(record)) {
      if (record.index % world_size_ != rank_) continue;
      complete_up_to_ = record.index + 1;
      return true;
    }
    return false;
  }

  int64_t complete_up_to() const override { return complete_up_to_; }

  std::vector<Example> load(Record& record) const override { return dataset_->examples(record); }

 private:
  std::shared_ptr<IterableDataset> dataset_;
  int64_t rank_;
  int64_t world_size_;
  int64_t complete_up_to_ = 0;
};

}  // namespace

std::unique_ptr<LoaderSource> map_source(std::shared_ptr<const Dataset> dataset,
                                         std::unique_ptr<Sampler> sampler) {
  return std::make_unique<MapSource>(std::move(dataset), std::move(sampler));
}

std::unique_ptr<LoaderSource> iterable_source(std::shared_ptr<IterableDataset> dataset,
                                              int64_t rank, int64_t world_size) {
  return std::make_unique<IterableSource>(std::move(dataset), rank, world_size);
}

}  // namespace tercel::data
