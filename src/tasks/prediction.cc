#include "src/tasks/prediction.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "src/base/fail.h"
#include "src/base/thread_pool.h"
#include "src/data/checked_dataset.h"
#include "src/tasks/open_blocks.h"
#include "src/tasks/replica_layout.h"
#include "src/tasks/result_files.h"

namespace tercel::tasks {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Over 400 lines: one state under one mutex, which the loader, the replicas and the writer share.
class Prediction {
 public:
  Prediction(const PredictOptions& options, std::unique_ptr<RecordTask> task, bool measure_replicas,
             const Commit& from, Journal* journal)
      : options_(options),
        task_(std::move(task)),
        format_(ResultFiles::format_of(options)),
        replicas_(task_->replicas()),
        measure_replicas_(measure_replicas),
        commit_(from),
        journal_(journal) {
    open_input();
    files_ = std::make_unique<ResultFiles>(options_, *task_, commit_);
  }

  // All records behind the commit that it began with. Throws after what is complete was made safe.
  void run() {
    start_ = last_commit_ = Clock::now();
    std::jthread watcher([this](const std::stop_token& done) { watch(done); });
    choose_replicas();
    std::vector<std::jthread> threads;
    serving_ = replicas_.size();
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      threads.emplace_back([this, i] { serve(replicas_[i]); });
    }
    write_until_served();
    threads.clear();
    watcher.request_stop();
    watcher.join();
    if (!error_) {
      files_->end(commit_.records - commit_.rejected);
      commit_.is_last = true;
    }
    commit();
    if (error_) std::rethrow_exception(error_);
    if (journal_ == nullptr) return;
    ResultFiles::finish(options_);
    journal_->remove();
  }

  PredictProgress progress() {
    const std::lock_guard lock(mutex_);
    PredictProgress now;
    now.records = commit_.records;
    now.rejected = commit_.rejected;
    now.tokens = tokens_;
    now.seconds = seconds_since(start_);
    now.records_per_second = static_cast<double>(computed_) / now.seconds;
    now.tokens_per_second = static_cast<double>(tokens_) / now.seconds;
    const double time = now.seconds * static_cast<double>(replicas_.size());
    now.wait_share = std::min(1.0, wait_seconds_ / time);
    const double done = fraction_computed();
    if (done > 0) {
      now.fraction = first_fraction_ + done;
      now.seconds_left = now.seconds * (1 - now.fraction) / done;
    }
    return now;
  }

  PredictSummary summary() {
    PredictSummary summary;
    static_cast<PredictProgress&>(summary) = progress();
    summary.resumed_at = first_record_;
    summary.replicas = static_cast<int>(replicas_.size());
    summary.nodes = static_cast<int>(replicas_.nodes());
    summary.threads = replicas_[0].options().threads;
    summary.failures = failures_;
    return summary;
  }

 private:
  void open_input() {
    data::ReaderOptions reading{.format = options_.format,
                                .fields = task_->fields(),
                                .max_record_bytes = options_.max_record_bytes,
                                .cancel = &stop_};
    auto reader = data::open_reader(options_.inputs, reading);
    reader_ = reader.get();
    auto dataset = std::make_shared<data::ReaderDataset>(
        std::move(reader), [this](data::Record& record) { return examples_of(record); });
    dataset_ = std::make_shared<data::CheckedDataset>(std::move(dataset));
    first_record_ = commit_.records;
    if (!dataset_->skip(first_record_) ||
        dataset_->checksum_before(first_record_) != commit_.checksum) {
      fail(Errc::invalid_argument,
           "the input does not begin with the {} records that the unfinished run has read: give "
           "the same input, or begin anew with --overwrite",
           first_record_);
    }
    first_fraction_ = reader_->fraction_read();
    const data::BatchRule rule = task_->batch_rule(static_cast<int>(options_.batch_size));
    loader_ = std::make_unique<data::DataLoader>(
        std::shared_ptr<data::IterableDataset>(dataset_),
        data::DataLoaderOptions{
            .batch_size = rule.max_rows,
            .max_tokens = options_.max_tokens > 0 ? options_.max_tokens : rule.max_tokens,
            .count_padding = rule.count_padding,
            .collate = task_->collate(),
            .workers = options_.workers,
            .prefetch = 2 * std::max(available_cpus(), static_cast<int>(replicas_.size())),
            .look_ahead = options_.look_ahead,
            .memory_limit = options_.loader_memory,
            .strict = options_.strict,
            .first_record = first_record_});
  }

  // Of the input, in this run: what was read of it, which is ahead of what was computed.
  double fraction_computed() const {
    const int64_t read = loader_->stats().records;
    if (read == 0) return 0;
    return (reader_->fraction_read() - first_fraction_) * static_cast<double>(computed_) /
           static_cast<double>(read);
  }

  // On a worker of the loader.
  std::vector<data::Example> examples_of(const data::Record& record) const {
    Started started = task_->start(record);
    if (started.examples.empty()) fail(Errc::invalid_argument, "it has nothing to compute");
    started.job->record = record.index;
    started.job->carried = ResultFiles::carried(record, options_, format_);
    started.job->rows_left = started.examples.size();
    const std::size_t share =
        (started.bytes + started.job->carried.size()) / started.examples.size();
    for (std::size_t i = 0; i < started.examples.size(); ++i) {
      started.examples[i].context = std::make_shared<JobRow>(JobRow{started.job, i});
      started.examples[i].context_bytes = share + sizeof(JobRow);
    }
    return std::move(started.examples);
  }

  // Replicas that nobody has chosen are chosen by the first batch, unless it is the only one.
  void choose_replicas() {
    if (!measure_replicas_ || available_cpus() == 1) return;
    auto first = load();
    auto second = first ? load() : std::nullopt;
    if (first) taken_.push_back(*std::move(first));
    if (!second) return;
    taken_.push_back(*std::move(second));
    replicas_ = fastest_replicas(replicas_, [this](const Session& session) {
      task_->run(session, taken_[0].inputs, taken_[0].examples.size(), run_options());
    });
  }

  RunOptions run_options() const { return {.cancel = &stop_}; }

  // A replica's thread.
  void serve(const Session& session) {
    try {
      while (auto batch = take()) {
        std::vector<Tensor> outputs;
        try {
          outputs = task_->run(session, batch->inputs, batch->examples.size(), run_options());
        } catch (const Error& error) {
          if (!give_back(*batch, error)) throw;
          break;
        }
        for (std::size_t i = 0; i < batch->examples.size(); ++i) {
          add(*static_cast<JobRow*>(batch->examples[i].context.get()), outputs,
              static_cast<int64_t>(i));
        }
        const std::lock_guard lock(mutex_);
        if (--unfinished_ == 0) changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      stop_ = true;
    }
    const std::lock_guard lock(mutex_);
    --serving_;
    changed_.notify_all();
  }

  // Whether other replicas take over from this one, which could not compute the batch.
  bool give_back(data::Batch& batch, const Error& error) {
    const bool of_device = error.code() == Errc::internal || error.code() == Errc::out_of_memory;
    const std::lock_guard lock(mutex_);
    if (!options_.keep_going || !of_device || failures_.size() + 1 == replicas_.size())
      return false;
    failures_.emplace_back(error.what());
    taken_.push_back(std::move(batch));
    changed_.notify_all();
    return true;
  }

  // One that is not computed yet, or the loader's next; nothing at the end.
  std::optional<data::Batch> take() {
    const std::lock_guard order(take_mutex_);  // batches are noted in the loader's order
    {
      const std::lock_guard lock(mutex_);
      if (!taken_.empty()) return take_back();
    }
    auto batch = load();
    if (batch) return batch;
    // Each that is being computed may come back.
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !taken_.empty() || unfinished_ == 0 || stop_; });
    return stop_ || taken_.empty() ? std::nullopt : take_back();
  }

  std::optional<data::Batch> take_back() {
    std::optional<data::Batch> batch(std::move(taken_.front()));
    taken_.pop_front();
    return batch;
  }

  // The loader's next batch, with its records known to be on their way. Nothing at the end, or
  // where one that came back has to be computed first.
  std::optional<data::Batch> load() {
    const auto begin = Clock::now();
    double written = 0;
    {
      constexpr std::size_t kBlocksAhead = 2;
      const auto full = Clock::now();
      std::unique_lock lock(mutex_);
      changed_.wait(lock,
                    [&] { return blocks_.size() <= kBlocksAhead || !taken_.empty() || stop_; });
      if (blocks_.size() > kBlocksAhead) return std::nullopt;
      written = seconds_since(full);
    }
    auto batch = stop_ ? std::nullopt : loader_->next();
    const std::lock_guard lock(mutex_);
    wait_seconds_ += seconds_since(begin) - written;
    if (batch) note(*batch);
    return batch;
  }

  void note(data::Batch& batch) {
    ++unfinished_;
    tokens_ += batch.tokens;
    computed_ += std::ssize(batch.rejected);
    if (blocks_.note(batch)) changed_.notify_all();
  }

  void add(JobRow& row, std::span<const Tensor> outputs, int64_t at) {
    Job& job = *row.job;
    RecordResult result;
    {
      const std::lock_guard lock(job.mutex);
      task_->add(job, row.row, outputs, at);
      if (--job.rows_left > 0) return;
      result = ResultFiles::render(*task_, job, format_);
    }
    const std::lock_guard lock(mutex_);
    ++computed_;
    if (blocks_.add(job.record, std::move(result))) changed_.notify_all();
  }

  // Until the run is done: what waits for input or computes looks at stop_.
  void watch(const std::stop_token& done) {
    constexpr auto kTick = std::chrono::milliseconds(10);
    while (options_.cancel != nullptr && !done.stop_requested()) {
      if (*options_.cancel) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::make_exception_ptr(Error(Errc::cancelled, "interrupted"));
        stop_ = true;
        changed_.notify_all();
        return;
      }
      std::this_thread::sleep_for(kTick);
    }
  }

  // The thread of the caller, while replicas compute.
  void write_until_served() {
    constexpr auto kTick = std::chrono::milliseconds(50);
    constexpr double kBetweenProgress = 0.2;
    auto last_shown = start_;
    std::unique_lock lock(mutex_);
    while (true) {
      while (is_ready()) write_block(lock);
      show_failures(lock);
      if (serving_ == 0 && !is_ready()) return;
      changed_.wait_for(lock, kTick);
      if (options_.progress && seconds_since(last_shown) > kBetweenProgress) {
        last_shown = Clock::now();
        lock.unlock();
        options_.progress(progress());
        lock.lock();
      }
    }
  }

  void show_failures(std::unique_lock<std::mutex>& lock) {
    while (options_.warn && shown_failures_ < failures_.size()) {
      const std::string failure = failures_[shown_failures_++];
      lock.unlock();
      options_.warn(failure + "; the other replicas go on with its share");
      lock.lock();
    }
  }

  bool is_ready() const { return blocks_.is_ready() && !write_failed_; }

  void write_block(std::unique_lock<std::mutex>& lock) {
    const OpenBlock block = blocks_.take();
    changed_.notify_all();
    lock.unlock();
    try {
      int64_t rejected = 0;
      for (const auto& [record, outcome] : block.outcomes) {
        if (outcome.rejected) {
          ++rejected;
          files_->reject(*outcome.rejected);
        } else {
          files_->add(record, outcome.result);
        }
      }
      lock.lock();
      commit_.records = *block.end;
      commit_.checksum = dataset_->checksum_before(commit_.records);  // it forgets those before
      commit_.rejected += rejected;
      commit_.output_bytes = files_->output_bytes();
      commit_.rejects_bytes = files_->rejects_bytes();
      lock.unlock();
      if (seconds_since(last_commit_) >= options_.commit_seconds) commit();
      lock.lock();
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      write_failed_ = true;
      if (!error_) error_ = std::current_exception();
      stop_ = true;
      changed_.notify_all();
    }
  }

  // What was written so far is safe from here on.
  void commit() {
    last_commit_ = Clock::now();
    if (journal_ == nullptr || write_failed_) return;
    files_->sync();
    commit_.output_bytes = files_->output_bytes();
    journal_->commit(commit_);
  }

  const PredictOptions& options_;
  std::unique_ptr<RecordTask> task_;
  ResultFormat format_;
  Replicas replicas_;
  bool measure_replicas_;
  std::atomic<bool> stop_{false};
  std::shared_ptr<data::CheckedDataset> dataset_;
  data::Reader* reader_ = nullptr;
  int64_t first_record_ = 0;
  double first_fraction_ = 0;
  std::unique_ptr<data::DataLoader> loader_;
  std::mutex take_mutex_;
  Clock::time_point start_;

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  OpenBlocks blocks_;
  std::deque<data::Batch> taken_;      // that were loaded, but are not being computed
  std::size_t unfinished_ = 0;         // batches that were loaded and are not done
  std::vector<std::string> failures_;  // what replicas gave up with
  std::size_t shown_failures_ = 0;
  std::size_t serving_ = 0;
  std::exception_ptr error_;
  bool write_failed_ = false;
  int64_t tokens_ = 0;
  int64_t computed_ = 0;  // records, bad ones included
  double wait_seconds_ = 0;

  // Of the caller's thread (the numbers of records under the mutex too).
  Commit commit_;
  Journal* journal_;
  std::unique_ptr<ResultFiles> files_;
  Clock::time_point last_commit_;
};

}  // namespace

PredictSummary run_prediction(const PredictOptions& options, std::unique_ptr<RecordTask> task,
                              bool measure_replicas, const Commit& from, Journal* journal) {
  Prediction prediction(options, std::move(task), measure_replicas, from, journal);
  prediction.run();
  if (options.progress) options.progress(prediction.progress());
  return prediction.summary();
}

}  // namespace tercel::tasks
