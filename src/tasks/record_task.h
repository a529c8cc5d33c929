#pragma once
// What `predict` does with a record, whatever the task: rows for the model are made of it, their
// outputs are gathered, and a result is written.

#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "src/data/batching.h"
#include "src/data/npy_header.h"
#include "tercel/data_loader.h"
#include "tercel/predict.h"
#include "tercel/replicas.h"

namespace tercel::tasks {

enum class ResultFormat { json_lines, csv, tsv, npy };

// A record on its way. Tasks derive from it what they need.
struct Job {
  virtual ~Job() = default;

  int64_t record = 0;
  // What is carried over from the record, as the result's format has it.
  std::string carried;

  std::mutex mutex;  // guards what follows, and what the task gathers
  std::size_t rows_left = 0;
};

// What an example's context is: a row of a job.
struct JobRow {
  std::shared_ptr<Job> job;
  std::size_t row = 0;
};

// Rows for the model, and what gathers their outputs.
struct Started {
  std::shared_ptr<Job> job;
  std::vector<data::Example> examples;
  std::size_t bytes = 0;  // that the job holds, about
};

// All but the constructor is called by many threads at once.
class RecordTask {
 public:
  virtual ~RecordTask() = default;

  virtual const Replicas& replicas() const = 0;
  // Fields of a record that are read; all when empty.
  virtual std::vector<std::string> fields() const = 0;
  virtual data::BatchRule batch_rule(int batch_size) const = 0;
  virtual data::Collate collate() const = 0;

  // Throws Errc::invalid_argument for a record that cannot be used.
  virtual Started start(const data::Record& record) const = 0;
  // The outputs that add() wants, of a batch of `rows` examples.
  virtual std::vector<Tensor> run(const Session& session, const NamedTensors& inputs,
                                  std::size_t rows, const RunOptions& options) const = 0;
  // Row `at` of the batch's outputs is row `row` of the job. One thread at a time for each job.
  virtual void add(Job& job, std::size_t row, std::span<const Tensor> outputs,
                   int64_t at) const = 0;

  // Once all rows were added. write_json: the members of the record's object. write_csv: the fields
  // of its lines, each of which begins with `prefix`. array: its row of an .npy file.
  virtual void write_json(const Job& job, std::string& out) const = 0;
  virtual std::vector<std::string> columns() const = 0;
  virtual void write_csv(const Job& job, const std::string& prefix, char separator,
                         std::string& out) const = 0;
  // Throws Errc::invalid_argument when no_array() is not empty.
  virtual Tensor array(const Job& job) const;
  // Why the task has no array to give.
  virtual std::string no_array() const { return {}; }
};

// Throws Errc::invalid_argument for an unknown task, and what loading the model throws.
std::unique_ptr<RecordTask> make_record_task(const std::filesystem::path& model,
                                             const PredictOptions& options);

std::unique_ptr<RecordTask> embedding_task(const std::filesystem::path& model,
                                           const PredictOptions& options);
std::unique_ptr<RecordTask> classification_task(const std::filesystem::path& model,
                                                const PredictOptions& options);
std::unique_ptr<RecordTask> tagging_task(const std::filesystem::path& model,
                                         const PredictOptions& options);
std::unique_ptr<RecordTask> answering_task(const std::filesystem::path& model,
                                           const PredictOptions& options);
std::unique_ptr<RecordTask> tensors_task(const std::filesystem::path& model,
                                         const PredictOptions& options);

}  // namespace tercel::tasks
