#pragma once
// The work of a prediction: a loader ahead of the replicas, and results that are written in order.

#include <memory>

#include "src/tasks/journal.h"
#include "src/tasks/record_task.h"
#include "tercel/predict.h"

namespace tercel::tasks {

// Computes all records behind `from`, and moves the files to their places. With `measure_replicas`
// the first batch decides how many replicas there are. `journal` is null for an output that cannot
// be continued. What is thrown comes after the results that are complete were written and made
// safe.
PredictSummary run_prediction(const PredictOptions& options, std::unique_ptr<RecordTask> task,
                              bool measure_replicas, const Commit& from, Journal* journal);

}  // namespace tercel::tasks
