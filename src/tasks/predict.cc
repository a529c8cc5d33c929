#include "tercel/predict.h"

#include <chrono>
#include <fstream>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/base/numa.h"
#include "src/base/thread_pool.h"
#include "src/session/options.h"
#include "src/tasks/prediction.h"
#include "src/tasks/result_files.h"
#include "tercel/version.h"

namespace tercel {
namespace {

using tasks::Commit;
using tasks::Journal;
using tasks::JournalState;
using tasks::PartFile;
using tasks::RunIdentity;

void check(const PredictOptions& options) {
  const auto at_least = [](std::string_view name, int64_t value, int64_t least) {
    if (value >= least) return;
    fail(Errc::invalid_argument, "{} = {}: expected at least {}", name, value, least);
  };
  at_least("batch_size", options.batch_size, 1);
  at_least("max_tokens", options.max_tokens, 0);
  at_least("workers", options.workers, 1);
  at_least("look_ahead", options.look_ahead, 1);
  at_least("loader_memory", options.loader_memory > 0 ? 1 : 0, 1);
  at_least("max_record_bytes", options.max_record_bytes > 0 ? 1 : 0, 1);
  at_least("top_k", options.top_k, options.task == "text-classification" ? 0 : 1);
  if (options.output == "-" && options.resume) {
    fail(Errc::invalid_argument,
         "standard output cannot be continued: write to a file to resume a run");
  }
  if (options.resume && options.overwrite) {
    fail(Errc::invalid_argument, "resume continues a run, overwrite begins anew: give one of them");
  }
  if (!options.rejects.empty() && options.rejects == options.output) {
    fail(Errc::invalid_argument, "{}: results and rejects need files of their own", options.output);
  }
  std::set<std::string> carried{"index"};
  std::vector<std::string> names{options.id_field};
  names.insert(names.end(), options.keep.begin(), options.keep.end());
  for (const std::string& name : names) {
    if (carried.insert(name).second) continue;
    fail(Errc::invalid_argument, "id_field, keep: a result has a field \"{}\" already", name);
  }
}

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

// Where a file is, and how large: enough to notice another one.
std::string described(const std::string& path) {
  std::error_code error;
  const auto whole = std::filesystem::weakly_canonical(path, error);
  const auto size = std::filesystem::file_size(path, error);
  return error ? path : fmt::format("{} ({} bytes)", whole.string(), size);
}

std::string described_model(const std::filesystem::path& model) {
  std::error_code error;
  if (!std::filesystem::is_directory(model, error)) return described(model.string());
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(model, error)) {
    if (entry.is_regular_file(error)) bytes += entry.file_size(error);
  }
  return fmt::format("{} ({} bytes)", std::filesystem::weakly_canonical(model, error).string(),
                     bytes);
}

// "cpu" or "cuda": the numbers of devices do not matter to a result.
std::string device_kind(const std::string& devices) {
  return devices.empty() ? "cpu" : devices.substr(0, devices.find_first_of(":,"));
}

// All that decides the bytes of the output but for a dtype that is to be measured.
RunIdentity identity_of(const std::filesystem::path& model, const PredictOptions& options) {
  std::vector<std::string> inputs;
  for (const std::string& file : data::expand_inputs(options.inputs)) {
    inputs.push_back(file == "-" ? "standard input" : described(file));
  }
  const auto& answering = options.answering;
  RunIdentity identity{
      {"model", described_model(model)},
      {"task", options.task},
      {"input", joined(inputs)},
      {"format", std::to_string(static_cast<int>(options.format))},
      {"max_record_bytes", std::to_string(options.max_record_bytes)},
      {"fields", joined({options.text_field, options.pair_field, options.question_field,
                         options.context_field, options.id_field})},
      {"keep", joined(options.keep)},
      {"output", std::filesystem::path(options.output).filename().string()},
      {"rejects", options.rejects},
      {"tensor", options.tensor},
      {"top_k", std::to_string(options.top_k)},
      {"answering",
       fmt::format("n_best {}, max_answer_tokens {}, max_length {}, stride {}, allow_null {}, "
                   "null_threshold {}",
                   answering.n_best, answering.max_answer_tokens, answering.max_length,
                   answering.stride, answering.allow_null, answering.null_threshold)},
      {"cpu_isa", std::string(to_string(choose_isa(options.session.cpu_isa)))},
      {"optimize", options.session.optimize ? "yes" : "no"},
      {"device", device_kind(options.session.devices)},
      {"version", std::string(version())}};
  if (options.session.dtype != Dtype::undefined) {
    identity.emplace("dtype", to_string(options.session.dtype));
  }
  return identity;
}

// Another measurement might choose another dtype: what an unfinished run was begun with is taken.
SessionOptions with_dtype_of(const JournalState& state, SessionOptions options) {
  const auto begun = state.identity.find("dtype");
  if (options.dtype != Dtype::undefined || begun == state.identity.end()) return options;
  options.dtype = parse_dtype(begun->second).value_or(Dtype::undefined);
  return options;
}

void check_same(const RunIdentity& before, const RunIdentity& now, const std::string& output) {
  for (const auto& [name, value] : now) {
    const auto found = before.find(name);
    if (found != before.end() && found->second == value) continue;
    fail(
        Errc::invalid_argument,
        "the unfinished run of {} was begun with {} = \"{}\", and now it is \"{}\": give the same, "
        "or begin anew with --overwrite",
        output, name, found == before.end() ? "" : found->second, value);
  }
}

std::filesystem::path journal_of(const PredictOptions& options) {
  return options.output + ".journal";
}

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// What is there may not be lost by mistake.
void check_new(const PredictOptions& options, bool unfinished) {
  if (options.overwrite || options.output == "-") return;
  if (unfinished) {
    fail(Errc::invalid_argument,
         "{}: an unfinished run is beside it: --resume continues it, --overwrite begins anew",
         options.output);
  }
  for (const std::string& file : {options.output, options.rejects}) {
    if (file.empty() || !is_there(file)) continue;
    fail(Errc::invalid_argument, "{}: it exists; --overwrite replaces it", file);
  }
}

// An empty journal, so that a run that is killed while it loads the model has begun: the output
// that it was to replace does not pass for its own. Removed unless the journal was written.
class BeginMark {
 public:
  explicit BeginMark(std::filesystem::path journal) : journal_(std::move(journal)) {
    if (!is_there(journal_)) made_ = std::ofstream(journal_).is_open();
  }
  ~BeginMark() {
    std::error_code ignored;
    if (made_ && std::filesystem::is_empty(journal_, ignored)) {
      std::filesystem::remove(journal_, ignored);
    }
  }
  BeginMark(const BeginMark&) = delete;
  BeginMark& operator=(const BeginMark&) = delete;

 private:
  std::filesystem::path journal_;
  bool made_ = false;
};

// Says, of whatever ended a run, what can be done.
[[noreturn]] void fail_resumable(const Error& error, const std::filesystem::path& journal) {
  const auto state = tasks::read_journal(journal);
  if (!state) throw error;
  throw Error(error.code(), fmt::format("{}; the results of {} records are safe: the same command "
                                        "with --resume continues",
                                        error.what(), state->commit.records));
}

// Only where there is a thread for each.
std::string a_cpu_for_each_node() {
  const std::size_t nodes = cpus_by_node().size();
  std::string devices = "cpu";
  if (nodes > static_cast<std::size_t>(available_cpus())) return devices;
  for (std::size_t node = 1; node < nodes; ++node) devices += ",cpu";
  return devices;
}

PredictSummary loaded_and_run(const std::filesystem::path& model, PredictOptions options,
                              RunIdentity identity, const std::optional<JournalState>& state) {
  const auto start = std::chrono::steady_clock::now();
  const bool measure = options.session.devices.empty() && options.session.threads == 0;
  if (options.session.devices.empty()) {
    options.session.devices = measure ? a_cpu_for_each_node() : "cpu";
  }
  auto task = tasks::make_record_task(model, options);
  if (options.warn) {
    for (const std::string& warning : task->replicas()[0].warnings()) options.warn(warning);
  }
  const std::string no_array = task->no_array();
  if (tasks::ResultFiles::format_of(options) == tasks::ResultFormat::npy && !no_array.empty()) {
    fail(Errc::invalid_argument, "{}: {}", options.output, no_array);
  }
  const std::chrono::duration<double> load = std::chrono::steady_clock::now() - start;
  identity["dtype"] = task->replicas()[0].weight_types();
  std::optional<Journal> journal;
  if (state) {
    check_same(state->identity, identity, options.output);
    journal.emplace(journal_of(options));
  } else if (options.output != "-") {
    journal.emplace(journal_of(options), identity);
  }
  try {
    auto summary =
        tasks::run_prediction(options, std::move(task), measure, state ? state->commit : Commit(),
                              journal ? &*journal : nullptr);
    summary.load_seconds = load.count();
    return summary;
  } catch (const Error& error) {
    if (!journal) throw;
    fail_resumable(error, journal_of(options));
  }
}

PredictSummary completed(int64_t records, int64_t rejected) {
  PredictSummary summary;
  summary.records = summary.resumed_at = records;
  summary.rejected = rejected;
  summary.fraction = 1;
  summary.already_complete = true;
  return summary;
}

}  // namespace

PredictSummary predict(const std::filesystem::path& model, const PredictOptions& given) {
  check(given);
  tasks::ResultFiles::format_of(given);
  if (given.output == "-") return loaded_and_run(model, given, {}, std::nullopt);

  const auto path = journal_of(given);
  std::optional<JournalState> state = tasks::read_journal(path);
  PredictOptions options = given;
  if (state && options.resume) options.session = with_dtype_of(*state, options.session);
  const RunIdentity identity = identity_of(model, options);
  if (!options.resume) {
    check_new(options, state.has_value());
    state.reset();
  } else if (state) {
    check_same(state->identity, identity, options.output);
    if (state->commit.is_last) {
      tasks::ResultFiles::finish(options);
      Journal(path).remove();
      return completed(state->commit.records, state->commit.rejected);
    }
  } else if (is_there(options.output) && !is_there(path)) {
    return completed(0, 0);
  }
  std::optional<BeginMark> mark;
  if (options.overwrite) mark.emplace(path);
  return loaded_and_run(model, options, identity, state);
}

}  // namespace tercel
