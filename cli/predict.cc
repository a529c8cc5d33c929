#include "tercel/predict.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"

namespace tercel::cli {
namespace {

struct PredictCommand {
  std::string model;
  std::string format;
  PredictOptions predict;
  float commit_seconds = 1;
  bool json = false;
  bool quiet = false;
};

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02} min", whole / 60, whole % 60);
  return fmt::format("{}:{:02} h", whole / 3600, whole / 60 % 60);
}

void show(const PredictProgress& now) {
  constexpr std::size_t kWidth = 24;
  std::string line = "\r";
  if (now.fraction > 0) {
    const auto filled = std::min(kWidth, static_cast<std::size_t>(now.fraction * kWidth));
    line += fmt::format("[{}{}] {:3.0f} %  ", std::string(filled, '#'),
                        std::string(kWidth - filled, '.'), 100 * now.fraction);
  }
  line += fmt::format("{} records, {:.0f}/s, {:.0f} tokens/s, waiting {:.1f} %", now.records,
                      now.records_per_second, now.tokens_per_second, 100 * now.wait_share);
  if (now.rejected > 0) line += fmt::format(", {} rejected", now.rejected);
  if (now.seconds_left > 0) line += fmt::format(", {} left", duration(now.seconds_left));
  print_error(line + "\x1b[K");
}

Json to_json(const PredictCommand& command, const PredictSummary& summary) {
  return {{"output", command.predict.output},
          {"records", summary.records},
          {"rejected", summary.rejected},
          {"resumed_at", summary.resumed_at},
          {"already_complete", summary.already_complete},
          {"tokens", summary.tokens},
          {"seconds", summary.seconds},
          {"load_seconds", summary.load_seconds},
          {"records_per_second", summary.records_per_second},
          {"tokens_per_second", summary.tokens_per_second},
          {"wait_share", summary.wait_share},
          {"replicas", summary.replicas},
          {"nodes", summary.nodes},
          {"failed_replicas", static_cast<int64_t>(summary.failures.size())},
          {"threads", summary.threads}};
}

std::string plain_text(const PredictCommand& command, const PredictSummary& summary) {
  if (summary.already_complete) {
    return fmt::format("{}: complete already\n", command.predict.output);
  }
  std::string text = fmt::format("records      {}", summary.records);
  if (summary.resumed_at > 0) text += fmt::format(", {} of them before", summary.resumed_at);
  if (summary.rejected > 0) {
    text += fmt::format(", {} rejected{}", summary.rejected,
                        command.predict.rejects.empty() ? ": --rejects FILE says which and why"
                                                        : ", see " + command.predict.rejects);
  }
  return text + fmt::format(
                    "\ntime         {}, {:.1f} records/s, {:.0f} tokens/s\n"
                    "waiting      {:.1f} % of the time for data\n"
                    "replicas     {}{}, threads of each: {}\n",
                    duration(summary.seconds), summary.records_per_second,
                    summary.tokens_per_second, 100 * summary.wait_share, summary.replicas,
                    summary.nodes > 1 ? fmt::format(" on {} NUMA nodes", summary.nodes) : "",
                    summary.threads == 0 ? "all" : std::to_string(summary.threads));
}

void run(PredictCommand command) {
  if (!command.format.empty()) command.predict.format = data::parse_format(command.format);
  if (!(command.commit_seconds >= 0)) {
    reject("--commit-seconds {}: expected seconds", command.commit_seconds);
  }
  command.predict.commit_seconds = command.commit_seconds;
  command.predict.cancel = &interrupted();
  command.predict.warn = [](const std::string& warning) { warn({warning}); };
  const bool progress = stderr_is_terminal() && !command.quiet;
  if (progress) command.predict.progress = show;
  PredictSummary summary;
  try {
    summary = predict(command.model, command.predict);
  } catch (...) {
    if (progress) print_error("\r\x1b[K");
    throw;
  }
  if (progress) print_error("\r\x1b[K");
  // Standard output belongs to the results when they go there.
  const bool aside = command.predict.output == "-";
  if (command.json) {
    (aside ? print_error : print)(to_text(to_json(command, summary)));
  } else if (!command.quiet) {
    print_error(plain_text(command, summary));
  }
}

void add_field_options(Options& options, PredictOptions& predict) {
  options.text("--text-field", predict.text_field, "NAME", "Field of the text");
  options.text("--pair-field", predict.pair_field, "NAME",
               "Field of a second text, for text-classification of pairs");
  options.text("--question-field", predict.question_field, "NAME", "Field of the question");
  options.text("--context-field", predict.context_field, "NAME",
               "Field of the document that answers it");
  options.text("--id-field", predict.id_field, "NAME",
               "Field that the output repeats, where a record has it");
  options.each("--keep", predict.keep, "NAME", "Another field that the output repeats");
}

void add_loader_options(Options& options, PredictOptions& predict) {
  options.number("--batch-size", predict.batch_size, "Rows that run together, at most");
  options.number("--max-tokens", predict.max_tokens,
                 "Tokens that run together, at most; 0: what suits the caches", 0);
  options.number("--workers", predict.workers, "Threads that read and tokenise");
  options.number("--look-ahead", predict.look_ahead,
                 "Records that are sorted by length, to run those of similar length together");
  options.bytes("--loader-memory", predict.loader_memory,
                "Most memory for records that wait; default 256M");
  options.bytes("--max-record", predict.max_record_bytes,
                "Longest record; longer ones are rejected; default 16M");
}

}  // namespace

void add_predict(CommandLine& line) {
  auto shared = std::make_shared<PredictCommand>();
  PredictCommand& command = *shared;
  PredictOptions& predict = command.predict;
  Options options = line.add(
      "predict", "Run a model over all records of files, however large",
      "  tercel predict all-MiniLM-L6-v2/ --task embedding --input 'texts-*.jsonl.gz' \\\n"
      "    --output vectors.npy --rejects bad.jsonl\n"
      "  tercel predict models/minilm-qa --task question-answering --input dev-v1.1.json \\\n"
      "    --output answers.jsonl\n"
      "  zcat reviews.csv.gz | tercel predict sentiment/ --task text-classification --input - \\\n"
      "    --format csv --text-field review --output labels.csv\n"
      "  tercel predict model.onnx --task tensors --input rows.npy --output out.npy\n"
      "Each good record is in the output once, in order. Results are written to OUTPUT.part; a "
      "run\n"
      "that was interrupted, by Ctrl-C, kill -9 or the power, goes on when the same command is\n"
      "given with --resume. Bad records (broken JSON, a missing field, bad UTF-8, too long) are\n"
      "counted, written to --rejects, and do not stop the run. A list of devices, such as "
      "cpu,cpu,\n"
      "runs a replica of the model on each; replicas on the CPU share the weights, those of a "
      "NUMA\n"
      "node theirs.",
      [shared] { run(*shared); });
  options.text("model", command.model, "MODEL", "A checkpoint's directory or an ONNX file",
               Need::required);
  options.text("--task", predict.task, "TASK",
               "question-answering, text-classification, token-classification, embedding, or "
               "tensors: the record's fields are the model's inputs",
               Need::required);
  options.each("--input", predict.inputs, "FILE",
               "A file or a pattern, also packed by gzip or zstd; -: standard input; may be given "
               "again");
  options.text("--format", command.format, "NAME",
               "jsonl, csv, tsv, text, squad or npy; default: what the file's name says");
  options.text("--output", predict.output, "FILE",
               ".jsonl, .csv, .tsv or .npy; -: JSON Lines to standard output", Need::required);
  options.text("--rejects", predict.rejects, "FILE", "Write the bad records: JSON Lines");
  options.flag("--resume", predict.resume, "Go on where an interrupted run ended");
  options.flag("--overwrite", predict.overwrite, "Replace an output or an interrupted run");
  options.flag("--strict", predict.strict, "Stop at the first bad record");
  options.flag("--keep-going", predict.keep_going,
               "A device of the list that fails leaves its share to the others");
  options.number("--top-k", predict.top_k, "Answers, or labels (0: all), of a record", 0);
  options.text("--tensor", predict.tensor, "NAME", "tensors: the output to write; default: all");
  add_field_options(options, predict);
  add_answering_options(options, predict.answering);
  add_loader_options(options, predict);
  options.number("--commit-seconds", command.commit_seconds,
                 "Seconds between moments at which results are made safe on the disk");
  add_running_options(options, predict.session);
  options.flag("--json", command.json, "Print the summary as JSON");
  options.flag("--quiet", command.quiet, "No progress bar, no summary");
}

}  // namespace tercel::cli
