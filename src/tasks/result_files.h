#pragma once
// The files that a prediction writes: results, and bad records.

#include <memory>
#include <optional>
#include <string>

#include "src/tasks/journal.h"
#include "src/tasks/part_file.h"
#include "src/tasks/record_task.h"

namespace tercel::tasks {

// What one record gives.
struct RecordResult {
  std::string bytes;
  data::NpyHeader row;  // of an array
};

class ResultFiles {
 public:
  // Goes on behind `from`.
  ResultFiles(const PredictOptions& options, const RecordTask& task, const Commit& from);

  static ResultFormat format_of(const PredictOptions& options);
  // What the record's fields add to its result, as the format has it.
  static std::string carried(const data::Record& record, const PredictOptions& options,
                             ResultFormat format);
  static RecordResult render(const RecordTask& task, const Job& job, ResultFormat format);

  // In the order of the input. Throws Errc::io; Errc::invalid_argument for an array of another
  // shape than those before.
  void add(int64_t record, const RecordResult& result);
  void reject(const data::Record& record);

  // Makes what was written safe.
  void sync();
  // The input has ended, and this many records gave a result.
  void end(int64_t results);
  // Moves the files to their places.
  static void finish(const PredictOptions& options);

  int64_t output_bytes() const { return output_.size(); }
  int64_t rejects_bytes() const { return rejects_ ? rejects_->size() : 0; }

 private:
  void check_row(int64_t record, const data::NpyHeader& row);

  ResultFormat format_;
  PartFile output_;
  std::unique_ptr<PartFile> rejects_;
  std::optional<data::NpyHeader> row_;
};

}  // namespace tercel::tasks
