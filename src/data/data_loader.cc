#include "tercel/data_loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include "src/base/fail.h"
#include "src/data/block.h"
#include "src/data/loader_source.h"

namespace tercel::data {
namespace {

using Clock = std::chrono::steady_clock;

// A worker's portion: small, so that the last one of a block is soon done.
constexpr std::size_t kChunkRecords = 32;
constexpr std::size_t kChunkBytes = std::size_t{256} << 10;
// What is shown of a bad record.
constexpr std::size_t kShownBytes = std::size_t{64} << 10;

struct Chunk {
  std::vector<Loaded> records;
  bool is_last = false;
  std::exception_ptr error;  // behind the records
};

bool is_about_data(Errc code) {
  return code == Errc::invalid_argument || code == Errc::invalid_file || code == Errc::not_found ||
         code == Errc::unsupported;
}

void check(const DataLoaderOptions& options) {
  const auto at_least = [](std::string_view name, int64_t value, int64_t least) {
    if (value >= least) return;
    fail(Errc::invalid_argument, "{} = {}: expected at least {}", name, value, least);
  };
  at_least("max_tokens", options.max_tokens, 0);
  at_least("batch_size", options.batch_size, options.max_tokens > 0 ? 0 : 1);
  at_least("workers", options.workers, 0);
  at_least("prefetch", options.prefetch, 1);
  at_least("look_ahead", options.look_ahead, 1);
  at_least("memory_limit", static_cast<int64_t>(options.memory_limit), 1);
  at_least("world_size", options.world_size, 1);
  if (options.rank < 0 || options.rank >= options.world_size) {
    fail(Errc::invalid_argument, "rank {} of {}: expected 0 to {}", options.rank,
         options.world_size, options.world_size - 1);
  }
  if (options.drop_last && options.max_tokens > 0) {
    fail(Errc::invalid_argument, "drop_last has no meaning with max_tokens: no batch is short");
  }
  if (options.pin_memory) {
    fail(Errc::unsupported,
         "pin_memory: the CPU reads batches where they lie, and a session on a GPU copies them to "
         "page-locked memory of its own; leave it off");
  }
}

std::unique_ptr<Sampler> make_sampler(int64_t size, const DataLoaderOptions& options) {
  std::unique_ptr<Sampler> sampler;
  if (options.shuffle) {
    sampler = std::make_unique<RandomSampler>(size, options.seed);
  } else {
    sampler = std::make_unique<SequentialSampler>(size);
  }
  if (options.world_size == 1) return sampler;
  return std::make_unique<DistributedSampler>(std::move(sampler), options.rank, options.world_size,
                                              options.drop_last);
}

}  // namespace

struct DataLoader::State {
  State(std::unique_ptr<LoaderSource> from, DataLoaderOptions chosen)
      : options(std::move(chosen)), source(std::move(from)), blocks(options) {
    if (!options.collate) options.collate = stack_collate;
    for (int i = 0; i < options.workers; ++i) workers.emplace_back([this] { work(); });
  }

  ~State() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    workers.clear();
  }

  // What a worker does, until there is nothing left to do.
  void work() {
    std::unique_lock lock(mutex);
    while (!stop && !is_finished()) {
      if (!step(lock)) changed.wait(lock);
    }
  }

  // One thing that helps, if there is one. Collating comes first: somebody waits for it.
  bool step(std::unique_lock<std::mutex>& lock) {
    if (!planned.empty() && static_cast<int>(ready.size()) + collating < options.prefetch) {
      collate_one(lock);
    } else if (may_read()) {
      read_chunk(lock);
    } else {
      return false;
    }
    changed.notify_all();
    return true;
  }

  bool is_finished() const { return ended && loading == 0 && planned.empty() && collating == 0; }

  // One whole block waits behind the one that is given out, and the budget is kept; but when
  // nothing else is on its way, there is always room for one more chunk.
  bool may_read() const {
    if (ended || reading) return false;
    if (planned.empty() && ready.empty() && collating == 0 && loading == 0) return true;
    const bool enough = blocks_planned > 1 && static_cast<int>(planned.size()) >= options.prefetch;
    return !enough && in_flight < options.memory_limit / 2;
  }

  void read_chunk(std::unique_lock<std::mutex>& lock) {
    const int64_t number = next_chunk++;
    reading = true;
    ++loading;
    lock.unlock();
    Chunk chunk = take_chunk();
    lock.lock();
    reading = false;
    ended = ended || chunk.is_last;
    lock.unlock();
    changed.notify_all();
    load(chunk);
    lock.lock();
    --loading;
    for (const Loaded& loaded : chunk.records) in_flight += loaded.bytes;
    counts.peak_bytes = std::max(counts.peak_bytes, in_flight);
    loaded_chunks.emplace(number, std::move(chunk));
    assemble();
  }

  Chunk take_chunk() {
    Chunk chunk;
    std::size_t bytes = 0;
    try {
      while (chunk.records.size() < kChunkRecords && bytes < kChunkBytes) {
        Loaded loaded;
        if (!source->take(loaded.record)) {
          chunk.is_last = true;
          break;
        }
        loaded.complete_up_to = source->complete_up_to();
        bytes += loaded.record.raw.size();
        chunk.records.push_back(std::move(loaded));
      }
    } catch (...) {
      chunk.error = std::current_exception();
      chunk.is_last = true;
    }
    return chunk;
  }

  void load(Chunk& chunk) const {
    for (auto loaded = chunk.records.begin(); loaded != chunk.records.end(); ++loaded) {
      try {
        load(*loaded);
      } catch (...) {
        chunk.error = std::current_exception();
        chunk.records.erase(loaded, chunk.records.end());
        return;
      }
    }
  }

  void load(Loaded& loaded) const {
    Record& record = loaded.record;
    try {
      if (record.error.empty()) loaded.examples = source->load(record);
    } catch (const Error& error) {
      if (!is_about_data(error.code())) throw;
      record.error = error.what();
    }
    if (record.error.empty()) {
      for (Example& example : loaded.examples) {
        example.record = record.index;
        loaded.bytes += example.bytes();
      }
      record = Record();
      return;
    }
    if (options.strict) {
      fail(Errc::invalid_file, "{}: {}", record.place(), record.error);
    }
    record.fields.clear();
    if (record.raw.size() > kShownBytes) record.raw.resize(kShownBytes);
    record.raw.shrink_to_fit();
    loaded.bytes += record.bytes();
  }

  // Puts chunks that are next in the order of the input into blocks.
  void assemble() {
    const std::size_t before = planned.size();
    while (!loaded_chunks.empty() && loaded_chunks.begin()->first == next_assembled) {
      Chunk chunk = std::move(loaded_chunks.begin()->second);
      loaded_chunks.erase(loaded_chunks.begin());
      ++next_assembled;
      for (Loaded& loaded : chunk.records) {
        ++counts.records;
        counts.rejected += loaded.record.error.empty() ? 0 : 1;
        blocks.add(std::move(loaded), planned);
      }
      if (chunk.is_last || chunk.error) blocks.finish(planned);
      if (chunk.error) {
        end_with(chunk.error);
        break;
      }
    }
    for (std::size_t i = before; i < planned.size(); ++i) {
      blocks_planned += planned[i].begins_block ? 1 : 0;
    }
  }

  // The error takes the place of what would have followed.
  void end_with(std::exception_ptr error) {
    PlannedBatch last;
    last.error = std::move(error);
    planned.push_back(std::move(last));
    ended = true;
    loaded_chunks.clear();
    next_assembled = -1;
  }

  void collate_one(std::unique_lock<std::mutex>& lock) {
    PlannedBatch next = std::move(planned.front());
    planned.pop_front();
    if (next.begins_block) --blocks_planned;
    const int64_t number = next_collated++;
    ++collating;
    lock.unlock();
    try {
      if (!next.error) next.batch.inputs = options.collate(next.batch.examples);
      for (Example& example : next.batch.examples) example.features.clear();
    } catch (...) {
      next.error = std::current_exception();
    }
    lock.lock();
    --collating;
    ready.emplace(number, std::move(next));
  }

  std::optional<Batch> next() {
    std::unique_lock lock(mutex);
    const auto start = Clock::now();
    while (ready.empty() || ready.begin()->first != next_given) {
      if (ready.empty() && is_finished()) return std::nullopt;
      if (options.workers > 0 || !step(lock)) changed.wait(lock);
    }
    counts.wait_seconds += std::chrono::duration<double>(Clock::now() - start).count();
    PlannedBatch& first = ready.begin()->second;
    if (first.error) std::rethrow_exception(first.error);  // to all who call: it stays
    in_flight -= std::min(in_flight, first.bytes);
    Batch batch = std::move(first.batch);
    ready.erase(ready.begin());
    ++next_given;
    ++counts.batches;
    counts.examples += static_cast<int64_t>(batch.examples.size());
    counts.tokens += batch.tokens;
    lock.unlock();
    changed.notify_all();
    return batch;
  }

  DataLoaderOptions options;
  std::unique_ptr<LoaderSource> source;  // of whoever set `reading`

  mutable std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool stop = false;
  bool reading = false;
  bool ended = false;  // nothing is left to read
  int loading = 0;     // chunks that are being read or loaded
  int collating = 0;
  int64_t next_chunk = 0;
  int64_t next_assembled = 0;
  int64_t next_collated = 0;
  int64_t next_given = 0;
  std::map<int64_t, Chunk> loaded_chunks;  // not assembled
  Blocks blocks;
  std::deque<PlannedBatch> planned;
  int blocks_planned = 0;  // blocks whose first batch is in `planned`
  std::map<int64_t, PlannedBatch> ready;
  std::size_t in_flight = 0;
  DataLoaderStats counts;
  std::vector<std::jthread> workers;  // last: they use all of the above
};

DataLoader::DataLoader(std::shared_ptr<const Dataset> dataset, DataLoaderOptions options) {
  check(options);
  auto sampler = make_sampler(dataset->size(), options);
  state_ = std::make_unique<State>(map_source(std::move(dataset), std::move(sampler)),
                                   std::move(options));
}

DataLoader::DataLoader(std::shared_ptr<const Dataset> dataset, std::unique_ptr<Sampler> sampler,
                       DataLoaderOptions options) {
  check(options);
  if (options.shuffle || options.world_size > 1) {
    fail(Errc::invalid_argument,
         "a sampler was given: it decides the order, so leave shuffle and world_size alone");
  }
  state_ = std::make_unique<State>(map_source(std::move(dataset), std::move(sampler)),
                                   std::move(options));
}

DataLoader::DataLoader(std::shared_ptr<IterableDataset> dataset, DataLoaderOptions options) {
  check(options);
  if (options.shuffle) {
    fail(Errc::invalid_argument,
         "shuffle needs a map-style data set: an iterable one is read in its own order");
  }
  auto source = iterable_source(std::move(dataset), options.rank, options.world_size);
  state_ = std::make_unique<State>(std::move(source), std::move(options));
}

DataLoader::~DataLoader() = default;

std::optional<Batch> DataLoader::next() { return state_->next(); }

DataLoaderStats DataLoader::stats() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counts;
}

}  // namespace tercel::data
