#include <algorithm>
#include <numeric>
#include <random>
#include <utility>

#include "src/base/fail.h"
#include "tercel/data_loader.h"

namespace tercel::data {
namespace {

// A number below `bound`, each as likely, the same on every machine (which
// std::uniform_int_distribution does not promise).
uint64_t below(uint64_t bound, std::mt19937_64& generator) {
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t number = generator();
  while (number >= limit) number = generator();
  return number % bound;
}

}  // namespace

std::optional<int64_t> SequentialSampler::next() {
  return next_ < size_ ? std::optional(next_++) : std::nullopt;
}

void SequentialSampler::reset(uint64_t) { next_ = 0; }

RandomSampler::RandomSampler(int64_t size, uint64_t seed)
    : seed_(seed), order_(static_cast<std::size_t>(size)) {
  reset(0);
}

void RandomSampler::reset(uint64_t epoch) {
  std::seed_seq seeds{static_cast<uint32_t>(seed_), static_cast<uint32_t>(seed_ >> 32),
                      static_cast<uint32_t>(epoch), static_cast<uint32_t>(epoch >> 32)};
  std::mt19937_64 generator(seeds);
  std::iota(order_.begin(), order_.end(), int64_t{0});
  for (std::size_t i = order_.size(); i > 1; --i) {
    std::swap(order_[i - 1], order_[below(i, generator)]);
  }
  next_ = 0;
}

std::optional<int64_t> RandomSampler::next() {
  return next_ < order_.size() ? std::optional(order_[next_++]) : std::nullopt;
}

DistributedSampler::DistributedSampler(std::unique_ptr<Sampler> sampler, int64_t rank,
                                       int64_t world_size, bool drop_last)
    : sampler_(std::move(sampler)), rank_(rank), world_size_(world_size), drop_last_(drop_last) {
  if (rank < 0 || rank >= world_size) {
    fail(Errc::invalid_argument, "rank {} of {}: expected 0 to {}", rank, world_size,
         world_size - 1);
  }
}

int64_t DistributedSampler::size() const {
  const int64_t rounding = drop_last_ ? 0 : world_size_ - 1;
  return (sampler_->size() + rounding) / world_size_;
}

// The other sampler's indices, then the first ones again.
std::optional<int64_t> DistributedSampler::pull() {
  const int64_t at = pulled_++;
  if (const auto index = sampler_->next()) {
    if (static_cast<int64_t>(first_.size()) < world_size_) first_.push_back(*index);
    return index;
  }
  if (first_.empty()) return std::nullopt;
  return first_[static_cast<std::size_t>(at - sampler_->size()) % first_.size()];
}

std::optional<int64_t> DistributedSampler::next() {
  if (pulled_ >= size() * world_size_) return std::nullopt;
  std::optional<int64_t> mine;
  for (int64_t i = 0; i < world_size_; ++i) {
    const auto index = pull();
    if (i == rank_) mine = index;
  }
  return mine;
}

void DistributedSampler::reset(uint64_t epoch) {
  sampler_->reset(epoch);
  pulled_ = 0;
  first_.clear();
}

BatchSampler::BatchSampler(std::unique_ptr<Sampler> sampler, int64_t batch_size, bool drop_last)
    : sampler_(std::move(sampler)), batch_size_(batch_size), drop_last_(drop_last) {
  if (batch_size < 1) {
    fail(Errc::invalid_argument, "batch_size = {}: expected at least 1", batch_size);
  }
}

std::vector<int64_t> BatchSampler::next() {
  std::vector<int64_t> indices;
  while (static_cast<int64_t>(indices.size()) < batch_size_) {
    const auto index = sampler_->next();
    if (!index) break;
    indices.push_back(*index);
  }
  if (drop_last_ && static_cast<int64_t>(indices.size()) < batch_size_) indices.clear();
  return indices;
}

int64_t BatchSampler::size() const {
  const int64_t rounding = drop_last_ ? 0 : batch_size_ - 1;
  return (sampler_->size() + rounding) / batch_size_;
}

}  // namespace tercel::data
