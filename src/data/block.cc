#include "src/data/block.h"

#include <algorithm>
#include <utility>

namespace tercel::data {
namespace {

// The first block is short, so that whoever computes need not wait for a long one.
constexpr int64_t kFirstBlock = 256;
// Bad records that are held back for a batch of good ones.
constexpr std::size_t kMostRejected = 1024;

}  // namespace

Blocks::Blocks(const DataLoaderOptions& options)
    : options_(options), begin_(options.first_record), end_(options.first_record) {}

// How long a block is depends on where it begins, and so is the same for a run that begins there.
int64_t Blocks::look_ahead() const {
  const int64_t grown = std::max<int64_t>(begin_, kFirstBlock);
  return std::min<int64_t>(grown, options_.look_ahead);
}

bool Blocks::is_whole() const {
  return in_block_ >= look_ahead() || bytes_ >= options_.memory_limit / 4;
}

void Blocks::add(Loaded loaded, std::deque<PlannedBatch>& planned) {
  ++in_block_;
  bytes_ += loaded.bytes;
  const int64_t before = std::exchange(end_, loaded.complete_up_to);
  if (!loaded.record.error.empty()) rejected_.push_back(std::move(loaded.record));
  for (Example& example : loaded.examples) {
    const std::size_t bytes = example.bytes();
    examples_.push_back({std::move(example), bytes, before});
  }
  if (options_.max_tokens == 0) {
    cut_in_order(planned, false);
  } else if (is_whole()) {
    close(planned);
  }
}

void Blocks::finish(std::deque<PlannedBatch>& planned) {
  if (options_.max_tokens == 0) {
    cut_in_order(planned, true);
  } else {
    close(planned);
  }
}

PlannedBatch Blocks::batch_of(std::vector<Waiting> members) const {
  PlannedBatch planned;
  for (auto& [example, bytes, begin] : members) {
    planned.batch.tokens += example.length;
    planned.bytes += bytes;
    planned.batch.examples.push_back(std::move(example));
  }
  return planned;
}

// Batches of batch_size, each a block.
void Blocks::cut_in_order(std::deque<PlannedBatch>& planned, bool all) {
  const auto size = static_cast<std::size_t>(options_.batch_size);
  while (examples_.size() >= size) planned.push_back(cut_first(size));
  if (all && options_.drop_last) examples_.clear();
  const bool has_rest = !examples_.empty() || !rejected_.empty();
  if (all && has_rest) planned.push_back(cut_first(examples_.size()));
  if (rejected_.size() >= kMostRejected) planned.push_back(cut_first(0));
}

PlannedBatch Blocks::cut_first(std::size_t count) {
  const auto end = examples_.begin() + static_cast<std::ptrdiff_t>(count);
  PlannedBatch next =
      batch_of({std::make_move_iterator(examples_.begin()), std::make_move_iterator(end)});
  examples_.erase(examples_.begin(), end);
  next.batch.rejected = std::exchange(rejected_, {});
  for (const Record& record : next.batch.rejected) next.bytes += record.bytes();
  next.batch.complete_up_to = examples_.empty() ? end_ : examples_.front().begin;
  next.begins_block = true;
  return next;
}

void Blocks::close(std::deque<PlannedBatch>& planned) {
  if (in_block_ == 0) return;
  const std::size_t before = planned.size();
  cut_by_length(planned);
  if (planned.size() == before) planned.emplace_back();
  PlannedBatch& first = planned[before];
  first.begins_block = true;
  first.batch.rejected = std::exchange(rejected_, {});
  for (const Record& record : first.batch.rejected) first.bytes += record.bytes();
  planned.back().batch.complete_up_to = end_;
  begin_ = end_;
  in_block_ = 0;
  examples_.clear();
  bytes_ = 0;
}

void Blocks::cut_by_length(std::deque<PlannedBatch>& planned) {
  std::vector<RowSize> sizes;
  sizes.reserve(examples_.size());
  for (const Waiting& waiting : examples_) {
    sizes.push_back({waiting.example.length, waiting.example.group});
  }
  const BatchRule rule{options_.batch_size, options_.max_tokens, options_.count_padding};
  for (const auto& rows : batches_by_length(sizes, rule)) {
    std::vector<Waiting> members;
    members.reserve(rows.size());
    for (const std::size_t row : rows) members.push_back(std::move(examples_[row]));
    planned.push_back(batch_of(std::move(members)));
  }
}

}  // namespace tercel::data
