#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "cli/random_tensor.h"
#include "cli/timings.h"
#include "tercel/npy.h"

namespace tercel::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr float kLongestTimeout = 1e8F;  // seconds: three years, which the clock can still add

struct RunCommand {
  std::string model;
  std::vector<std::string> inputs;
  std::vector<std::string> random;
  std::string output;
  uint64_t seed = 0;
  int repeat = 1;
  float timeout = 0;  // seconds; 0: none
  SessionOptions session;
  bool json = false;
  bool explain = false;
};

std::pair<std::string, std::string> split_pair(const std::string& text, std::string_view option,
                                               std::string_view expected) {
  const std::size_t at = text.find('=');
  if (at == std::string::npos || at == 0 || at + 1 == text.size()) {
    reject("{} {}: expected {}", option, text, expected);
  }
  return {text.substr(0, at), text.substr(at + 1)};
}

NamedTensors read_inputs(const RunCommand& command) {
  NamedTensors inputs;
  for (const std::string& entry : command.inputs) {
    const auto [name, path] = split_pair(entry, "--input", "name=file.npy");
    inputs[name] = read_npy(path);
  }
  return inputs;
}

void add_random(const Session& session, const RunCommand& command, NamedTensors& inputs) {
  std::mt19937_64 generator(command.seed);
  for (const std::string& entry : command.random) {
    const auto [name, description] = split_pair(entry, "--random", "name=2x128 or name=2x128:i64");
    Dtype dtype = Dtype::f32;
    for (const TensorInfo& info : session.inputs()) {
      if (info.name == name) dtype = info.dtype;
    }
    inputs[name] = random_tensor(description, dtype, generator);
  }
}

Session load(const RunCommand& command, const NamedTensors& inputs) {
  SessionOptions options = command.session;
  // Real inputs say more about precision than made-up ones.
  if (command.random.empty() && !inputs.empty()) options.samples = {inputs};
  return Session::load(command.model, options);
}

// Names of outputs may hold characters that names of files may not.
std::string file_name(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || c == '\\' || c == ':'; }, '_');
  return (name.starts_with('.') ? "_" : "") + name + ".npy";
}

void write_outputs(const std::string& folder, const NamedTensors& outputs) {
  for (const auto& [name, tensor] : outputs) check_npy_dtype(tensor, name);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw Error(Errc::io, fmt::format("{}: {}", folder, error.message()));
  for (const auto& [name, tensor] : outputs) {
    write_npy(std::filesystem::path(folder) / file_name(name), tensor);
  }
}

Json to_json(const NamedTensors& outputs, const Timings& timings, const SessionStats& stats) {
  Json list = Json::array();
  for (const auto& [name, tensor] : outputs) {
    list.push_back(
        {{"name", name}, {"dtype", to_string(tensor.dtype())}, {"shape", tensor.shape()}});
  }
  Json times = {{"load", stats.load_milliseconds}, {"first", timings.first}};
  if (!timings.runs.empty()) {
    times["min"] = timings.runs.front();
    times["median"] = timings.at(0.5);
    times["p99"] = timings.at(0.99);
    times["runs"] = timings.runs.size();
  }
  return {{"outputs", std::move(list)},
          {"milliseconds", std::move(times)},
          {"peak_bytes", stats.peak_bytes},
          {"weight_bytes", stats.weight_bytes}};
}

std::string plain_text(const NamedTensors& outputs, const Timings& timings,
                       const SessionStats& stats) {
  std::string text;
  for (const auto& [name, tensor] : outputs) {
    text += fmt::format("{}: {} {}\n", name, to_string(tensor.dtype()), to_string(tensor.shape()));
  }
  text += fmt::format("load {:.1f} ms, first run {:.2f} ms, peak memory {:.1f} MiB\n",
                      stats.load_milliseconds, timings.first,
                      static_cast<double>(stats.peak_bytes) / (1 << 20));
  if (!timings.runs.empty()) {
    text +=
        fmt::format("{} more runs: min {:.2f} ms, median {:.2f} ms, p99 {:.2f} ms\n",
                    timings.runs.size(), timings.runs.front(), timings.at(0.5), timings.at(0.99));
  }
  return text;
}

void run(const RunCommand& command) {
  if (!(command.timeout >= 0)) reject("--timeout {}: expected seconds", command.timeout);
  NamedTensors inputs = read_inputs(command);
  const Session session = load(command, inputs);
  warn(session.warnings());
  if (command.explain) explain(session);
  add_random(session, command, inputs);
  const auto timed = [&](NamedTensors& outputs) {
    const auto start = Clock::now();
    RunOptions options = cancellable();
    if (command.timeout > 0) {
      const std::chrono::duration<double> limit(std::min(command.timeout, kLongestTimeout));
      options.deadline = start + std::chrono::duration_cast<Clock::duration>(limit);
    }
    outputs = session.run(inputs, {}, options);
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  };
  NamedTensors outputs;
  Timings timings;
  timings.first = timed(outputs);
  for (int i = 1; i < command.repeat; ++i) timings.runs.push_back(timed(outputs));
  timings.sort();

  if (!command.output.empty()) write_outputs(command.output, outputs);
  const SessionStats stats = session.stats();
  print(command.json ? to_text(to_json(outputs, timings, stats))
                     : plain_text(outputs, timings, stats));
}

}  // namespace

void add_run(CommandLine& line) {
  auto shared = std::make_shared<RunCommand>();
  RunCommand& command = *shared;
  Options options = line.add(
      "run", "Run a model on arrays",
      "  tercel run model.onnx --input x=x.npy --output results/\n"
      "  tercel run models/minilm-qa --random input_ids=1x128 --random attention_mask=1x128 \\\n"
      "    --random token_type_ids=1x128 --repeat 100\n"
      "Each output becomes DIR/name.npy. Random numbers are between -1 and 1, integers 0 or 1. "
      "With\n"
      "--dtype auto, types are tried on the arrays that are read, or on made-up ones where there "
      "are none.",
      [shared] { run(*shared); });
  options.text("model", command.model, "MODEL", "A checkpoint's directory or an ONNX file",
               Need::required);
  options.each("--input", command.inputs, "NAME=FILE.npy", "An input, read from a numpy file");
  options.each("--random", command.random, "NAME=SHAPE[:TYPE]",
               "An input of random numbers: x=2x128, or x=2x128:f16");
  options.number("--seed", command.seed, "Seed of the random numbers");
  options.text("--output", command.output, "DIR", "Write the outputs there");
  options.number("--repeat", command.repeat, "Runs; the first one makes the plan");
  options.number("--timeout", command.timeout, "Seconds that one run may take; 0: any");
  add_session_options(options, command.session);
  options.flag("--json", command.json, "Print JSON");
  options.flag("--explain", command.explain,
               "Say on standard error which kernels were chosen, and why");
}

}  // namespace tercel::cli
