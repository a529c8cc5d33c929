#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <random>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/plot.h"
#include "cli/random_tensor.h"
#include "cli/timings.h"

namespace tercel::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLeastRuns = 5;
constexpr float kLongest = 3600;  // seconds that one line is measured
// A mix of lengths: those of short texts, of which a few are long, 4 to 200 tokens.
constexpr int64_t kMixedLongest = 200;
constexpr double kMixedMedian = 24;
constexpr double kMixedSpread = 0.8;  // of the logarithm

struct BenchCommand {
  std::string model;
  std::string batches = "1,2,4,8,16,32";
  std::string lengths;  // empty: 16, 128 or the model's most, and mixed where there is a mask
  float seconds = 1;
  uint64_t seed = 0;
  std::string plot;
  SessionOptions session;
  bool json = false;
};

struct Row {
  std::string lengths;  // empty: the model's inputs have none
  int64_t batch = 1;
  int64_t tokens = 0;
  Timings timings;

  double per_second(int64_t count) const {
    return static_cast<double>(count) * 1000 / timings.at(0.5);
  }
};

int64_t parse_size(const std::string& text, std::string_view option, std::string_view expected) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) {
    reject("{} '{}': expected {}", option, text, expected);
  }
  return value;
}

bool is_number(const std::string& dimension) {
  return !dimension.empty() && std::all_of(dimension.begin(), dimension.end(),
                                           [](char c) { return c >= '0' && c <= '9'; });
}

// An input that says which tokens are real: i64 [batch, sequence].
bool is_mask(const TensorInfo& info) {
  return info.name.find("mask") != std::string::npos && info.dtype == Dtype::i64 && info.shape &&
         info.shape->size() == 2;
}

bool has_mask(const Session& session) {
  return std::any_of(session.inputs().begin(), session.inputs().end(), is_mask);
}

const std::vector<std::string>& shape_of(const TensorInfo& info) {
  if (!info.shape || info.shape->empty()) {
    throw Error(
        Errc::unsupported,
        fmt::format("input {} is {}: bench can make up tensors whose first dimension is the "
                    "batch; time this model with `tercel run --repeat`",
                    info.name, info.type));
  }
  return *info.shape;
}

// Whether inputs have a dimension beside the batch that the model leaves open.
bool has_length(const Session& session) {
  return std::any_of(session.inputs().begin(), session.inputs().end(), [](const TensorInfo& info) {
    const auto& shape = shape_of(info);
    return !std::all_of(shape.begin() + 1, shape.end(), is_number);
  });
}

// Tokens of a row that the model is made for, if it says so; `otherwise` if that is less.
int64_t longest_of(const Session& session, int64_t otherwise) {
  const auto found = session.metadata().find("tercel.max_length");
  if (found == session.metadata().end()) return otherwise;
  return std::min<int64_t>(otherwise, std::strtoll(found->second.c_str(), nullptr, 10));
}

std::vector<int64_t> lengths_of(const std::string& lengths, int64_t batch, int64_t longest,
                                uint64_t seed) {
  const auto rows = static_cast<std::size_t>(batch);
  if (lengths != "mixed") {
    return std::vector<int64_t>(rows, std::stoll(lengths));
  }
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal(std::log(kMixedMedian), kMixedSpread);
  std::vector<int64_t> drawn(rows);
  std::generate(drawn.begin(), drawn.end(), [&] {
    const double length = std::max(std::exp(normal(generator)), 4.0);
    return static_cast<int64_t>(std::min(length, static_cast<double>(longest)));
  });
  return drawn;
}

// Rows of 1 as far as each is long, then of 0.
Tensor mask_of(const Shape& shape, const std::vector<int64_t>& lengths) {
  Tensor mask(Dtype::i64, shape);
  auto* out = static_cast<int64_t*>(mask.data());
  for (const int64_t length : lengths) {
    for (int64_t i = 0; i < shape[1]; ++i) *out++ = i < length ? 1 : 0;
  }
  return mask;
}

NamedTensors make_inputs(const Session& session, const std::vector<int64_t>& lengths,
                         uint64_t seed) {
  const int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  std::mt19937_64 generator(seed);
  NamedTensors inputs;
  for (const TensorInfo& info : session.inputs()) {
    Shape shape;
    for (const std::string& dimension : shape_of(info)) {
      if (is_number(dimension)) {
        shape.push_back(std::stoll(dimension));
      } else {
        shape.push_back(shape.empty() ? static_cast<int64_t>(lengths.size()) : longest);
      }
    }
    if (is_mask(info)) {
      inputs[info.name] = mask_of(shape, lengths);
    } else {
      inputs[info.name] =
          random_tensor(fmt::format("{}", fmt::join(shape, "x")), info.dtype, generator);
    }
  }
  return inputs;
}

Row measure(const Session& session, const std::string& lengths, int64_t batch,
            const BenchCommand& command) {
  const auto rows = lengths.empty() ? std::vector<int64_t>(static_cast<std::size_t>(batch), 1)
                                    : lengths_of(lengths, batch, longest_of(session, kMixedLongest),
                                                 command.seed);
  const NamedTensors inputs = make_inputs(session, rows, command.seed);
  Row row{lengths, batch, 0, {}};
  for (const int64_t length : rows) row.tokens += length;
  const auto timed = [&] {
    const auto start = Clock::now();
    session.run(inputs, {}, cancellable());
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  };
  row.timings.first = timed();
  for (double spent = 0;
       spent < command.seconds * 1000.0 || row.timings.runs.size() < kLeastRuns;) {
    row.timings.runs.push_back(timed());
    spent += row.timings.runs.back();
  }
  row.timings.sort();
  return row;
}

std::string line_of(const Row& row) {
  const std::string tokens =
      row.lengths.empty() ? "" : fmt::format("{:>12.0f}", row.per_second(row.tokens));
  return fmt::format("{:>8} {:>6} {:>10.2f} {:>10.2f} {:>12.1f} {}\n", row.lengths, row.batch,
                     row.timings.at(0.5), row.timings.at(0.99), row.per_second(row.batch), tokens);
}

Json to_json(const std::vector<Row>& rows) {
  Json list = Json::array();
  for (const Row& row : rows) {
    Json entry = {{"batch", row.batch},
                  {"median_milliseconds", row.timings.at(0.5)},
                  {"p99_milliseconds", row.timings.at(0.99)},
                  {"runs", row.timings.runs.size()},
                  {"sequences_per_second", row.per_second(row.batch)}};
    if (!row.lengths.empty()) {
      entry["lengths"] = row.lengths;
      entry["tokens_per_second"] = row.per_second(row.tokens);
    }
    list.push_back(std::move(entry));
  }
  return list;
}

std::string plot_of(const std::vector<Row>& rows, const BenchCommand& command, int64_t longest) {
  std::vector<PlotLine> lines;
  for (const Row& row : rows) {
    const std::string name = row.lengths.empty() ? "samples"
                             : row.lengths == "mixed"
                                 ? fmt::format("4 to {} tokens, mixed", longest)
                                 : row.lengths + " tokens";
    if (lines.empty() || lines.back().name != name) lines.push_back({name, {}});
    const double speed = row.per_second(row.lengths.empty() ? row.batch : row.tokens);
    lines.back().points.emplace_back(static_cast<double>(row.batch), speed);
  }
  const char* unit = rows.front().lengths.empty() ? "Samples" : "Tokens";
  const auto model = std::filesystem::path(command.model).lexically_normal();
  const auto name = model.has_filename() ? model.filename() : model.parent_path().filename();
  return line_plot(fmt::format("{} a second: {}", unit, name.string()), "rows of a batch", lines);
}

// The batches that were asked for, or the one that the model's inputs allow.
std::vector<int64_t> batches_of(const Session& session, const std::string& list) {
  std::vector<int64_t> batches;
  for (const std::string& word : split_list(list)) {
    batches.push_back(parse_size(word, "--batches", "numbers of at least 1, as in 1,8,32"));
  }
  for (const TensorInfo& info : session.inputs()) {
    const std::string& first = shape_of(info).front();
    if (is_number(first)) return {std::stoll(first)};
  }
  return batches;
}

std::vector<std::string> mixes_of(const Session& session, const std::string& list) {
  if (!has_length(session)) {
    if (list.empty()) return {""};
    reject("--lengths {}: no input of the model has an open dimension beside the batch", list);
  }
  if (list.empty()) {
    std::string lengths = std::to_string(longest_of(session, 16));
    const int64_t longer = longest_of(session, 128);
    if (longer > 16) lengths += fmt::format(",{}", longer);
    return split_list(lengths + (has_mask(session) ? ",mixed" : ""));
  }
  auto mixes = split_list(list);
  for (const std::string& mix : mixes) {
    if (mix != "mixed") {
      parse_size(mix, "--lengths", "numbers of at least 1, or mixed");
    } else if (!has_mask(session)) {
      reject(
          "--lengths mixed: the model has no input that says which tokens are real (i64 [batch, "
          "sequence], called … mask); give numbers");
    }
  }
  return mixes;
}

void run(const BenchCommand& command) {
  if (!(command.seconds > 0 && command.seconds <= kLongest)) {
    reject("--seconds {}: expected more than 0, up to {}", command.seconds, kLongest);
  }
  const Session session = Session::load(command.model, command.session);
  warn(session.warnings());
  const auto batches = batches_of(session, command.batches);
  const auto lengths = mixes_of(session, command.lengths);
  std::vector<Row> rows;
  const auto show = [&](const std::string& text) {
    if (!command.json) print(text);
  };
  show(fmt::format("{:>8} {:>6} {:>10} {:>10} {:>12} {:>12}\n", "tokens", "batch", "median ms",
                   "p99 ms", "rows/s", lengths[0].empty() ? "" : "tokens/s"));
  for (const std::string& length : lengths) {
    for (const int64_t batch : batches) {
      rows.push_back(measure(session, length, batch, command));
      show(line_of(rows.back()));
    }
  }
  if (command.json) print(to_text(to_json(rows)));
  if (!command.plot.empty())
    write_file(command.plot, plot_of(rows, command, longest_of(session, kMixedLongest)));
}

}  // namespace

void add_bench(CommandLine& line) {
  auto shared = std::make_shared<BenchCommand>();
  BenchCommand& command = *shared;
  Options options = line.add(
      "bench", "Measure a model's latency and throughput by batch and length",
      "  tercel bench models/minilm-qa\n"
      "  tercel bench models/minilm-qa --batches 1,8,64 --lengths 32,256 --dtype int8 "
      "--plot speed.svg\n"
      "Inputs are made up. `mixed` are rows of 4 to 200 tokens, but no more than the model "
      "takes,\n"
      "padded to the longest of the batch; tokens/s counts real ones only.",
      [shared] { run(*shared); });
  options.text("model", command.model, "MODEL", "A checkpoint's directory or an ONNX file",
               Need::required);
  options.text("--batches", command.batches, "N,…", "Rows that run together");
  options.text(
      "--lengths", command.lengths, "N,…",
      "Tokens of a row, or mixed, where the inputs have an open dimension; default 16,128,mixed");
  options.number("--seconds", command.seconds, "How long each is measured");
  options.number("--seed", command.seed, "Seed of the inputs");
  options.text("--plot", command.plot, "FILE.svg", "Write a picture of the throughput");
  add_session_options(options, command.session);
  options.flag("--json", command.json, "Print JSON");
}

}  // namespace tercel::cli
