#pragma once
// Batch inference: a model over all records of an input, however large, into a file with a result
// for each, in order.
//
//   tercel::predict("all-MiniLM-L6-v2", {.task = "embedding",
//                                        .inputs = {"texts-*.jsonl.gz"},
//                                        .output = "vectors.npy"});
//
// Each good record is in the output once. Results are written to OUTPUT.part, and OUTPUT.journal
// says how far they are safe; both become OUTPUT when the input has ended. A run that was ended at
// any moment, by SIGKILL or by the power, goes on with `resume`, and the output is the same, byte
// for byte, as of a run that was not ended.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tercel/export.h"
#include "tercel/reader.h"
#include "tercel/session.h"
#include "tercel/tasks.h"

namespace tercel {

struct PredictProgress {
  int64_t records = 0;            // whose results are written, bad ones included
  int64_t rejected = 0;           // bad ones
  int64_t tokens = 0;             // computed in this run
  double seconds = 0;             // of this run, from the first record on
  double records_per_second = 0;  // computed
  double tokens_per_second = 0;
  double wait_share = 0;    // of the replicas' time: waiting for data
  double fraction = 0;      // of the input, computed; 0 when its size is unknown
  double seconds_left = 0;  // 0 when unknown
};

struct PredictOptions {
  // "question-answering", "text-classification", "token-classification", "embedding", or "tensors":
  // any model, whose inputs are the fields of the record.
  std::string task;

  std::vector<std::string> inputs;  // see data::open_reader
  data::Format format = data::Format::by_name;
  std::size_t max_record_bytes = std::size_t{16} << 20;
  // The fields that are read.
  std::string text_field = "text";
  std::string pair_field;  // text classification: the second text; empty: none
  std::string question_field = "question";
  std::string context_field = "context";
  std::string id_field = "id";    // carried to the output where a record has it
  std::vector<std::string> keep;  // others that are

  // A file that ends in .jsonl, .csv, .tsv or .npy; "-": JSON Lines to standard output, which
  // cannot be resumed.
  std::string output;
  // Bad records, a line of JSON each: index, file, line, reason, raw. Empty: only counted.
  std::string rejects;
  std::string tensor;  // "tensors": the output to write; empty: all
  int top_k = 1;       // question answering: answers of a record. Classification: labels; 0: all

  bool resume = false;     // go on where an earlier run ended
  bool overwrite = false;  // replace an output, or an unfinished run, that is there
  bool strict = false;     // end at the first bad record
  // A device that fails (out of memory, or a fault of its own) leaves its share to the other
  // replicas; false, and when the last one fails: the run ends, and can be resumed.
  bool keep_going = false;

  tasks::QuestionAnsweringOptions answering;
  // Empty devices: the CPU, with as many replicas as a measurement on the first batch finds best,
  // one for each NUMA node at least.
  SessionOptions session = [] {
    SessionOptions own;
    own.devices.clear();
    return own;
  }();
  int64_t batch_size = 1024;  // rows of a batch at most
  int64_t max_tokens = 0;     // tokens of a batch at most; 0: what suits the caches
  int workers = 1;            // threads that read and tokenise
  int64_t look_ahead = 1024;  // records that are sorted by length
  std::size_t loader_memory = std::size_t{256} << 20;  // of loaded records
  double commit_seconds = 1;  // between two moments at which what is written is made safe

  const CancelFlag* cancel = nullptr;
  // Called for each of Session::warnings() once the model is loaded, and for each device that fails
  // when keep_going.
  std::function<void(const std::string& warning)> warn;
  // Called by the thread that called predict, a few times a second.
  std::function<void(const PredictProgress&)> progress;
};

struct PredictSummary : PredictProgress {
  int64_t resumed_at = 0;         // records that earlier runs had done
  bool already_complete = false;  // `resume`, and the output was there
  int replicas = 0;
  int threads = 0;  // of a replica; 0: all of a device
  int nodes = 0;    // NUMA nodes that they were dealt over, each with a copy of the weights
  double load_seconds = 0;
  std::vector<std::string> failures;  // with keep_going: the errors of the devices that failed
};

// Throws what loading the model throws; Errc::invalid_argument for options that do not fit together
// or do not fit the unfinished run; Errc::io when writing fails; Errc::cancelled; and with `strict`
// the error of a bad record. What was written stays, for a run with `resume`.
TERCEL_API PredictSummary predict(const std::filesystem::path& model,
                                  const PredictOptions& options);

}  // namespace tercel
