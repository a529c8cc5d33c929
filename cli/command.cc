#include "cli/command.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include <CLI/CLI.hpp>

#include "tercel/error.h"
#include "tercel/version.h"

namespace tercel::cli {
namespace {

constexpr const char* kDescription =
    "Tercel runs machine-learning models: it answers questions from a text, classifies and embeds "
    "texts, and runs any ONNX file or Hugging Face checkpoint on arrays.";
constexpr const char* kFooter =
    "`tercel COMMAND --help` explains a command, with examples.\n"
    "Exit codes: 0 done; 2 bad input or usage; 1 any other failure; 130 interrupted.";

void add_text(CLI::App& app, const std::string& name, const std::string& kind,
              const std::string& help, std::function<void(const std::string&)> set) {
  app.add_option_function<std::string>(name, std::move(set), help)->type_name(kind);
}

}  // namespace

std::optional<std::size_t> parse_bytes(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  std::string unit = text.substr(used);
  for (char& c : unit) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (unit.ends_with("IB")) {
    unit.erase(unit.size() - 2);
  } else if (unit.ends_with("B")) {
    unit.pop_back();
  }
  const std::string units = "KMGT";
  if (unit.size() > 1 || (!unit.empty() && units.find(unit) == std::string::npos)) {
    return std::nullopt;
  }
  if (!unit.empty()) value *= std::pow(1024.0, static_cast<double>(units.find(unit)) + 1);
  const bool fits = value >= 0 && value < static_cast<double>(std::numeric_limits<int64_t>::max());
  return fits ? std::optional(static_cast<std::size_t>(value)) : std::nullopt;
}

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    words.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

void Options::flag(const std::string& name, bool& value, const std::string& help) {
  app_.add_flag(name, value, help);
}

void Options::negative_flag(const std::string& name, bool& value, const std::string& help) {
  app_.add_flag_callback(
      name, [&value] { value = false; }, help);
}

void Options::text(const std::string& name, std::string& value, const std::string& kind,
                   const std::string& help, Need need) {
  auto* option = app_.add_option(name, value, help)->type_name(kind);
  if (!value.empty()) option->capture_default_str();
  option->required(need == Need::required);
}

void Options::texts(const std::string& name, std::vector<std::string>& values,
                    const std::string& kind, const std::string& help) {
  app_.add_option(name, values, help)->type_name(kind);
}

void Options::each(const std::string& name, std::vector<std::string>& values,
                   const std::string& kind, const std::string& help) {
  app_.add_option(name, values, help)->type_name(kind)->allow_extra_args(false);
}

void Options::number(const std::string& name, int& value, const std::string& help, int least) {
  app_.add_option(name, value, help)
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(least, std::numeric_limits<int>::max()).description(""));
}

void Options::number(const std::string& name, int64_t& value, const std::string& help,
                     int64_t least) {
  app_.add_option(name, value, help)
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(least, std::numeric_limits<int64_t>::max()).description(""));
}

void Options::number(const std::string& name, uint64_t& value, const std::string& help) {
  app_.add_option(name, value, help)->type_name("N")->capture_default_str();
}

void Options::number(const std::string& name, float& value, const std::string& help) {
  app_.add_option(name, value, help)->type_name("X")->capture_default_str();
}

void Options::bytes(const std::string& name, std::size_t& value, const std::string& help) {
  add_text(app_, name, "BYTES", help, [&value, name](const std::string& text) {
    const auto parsed = parse_bytes(text);
    if (!parsed) throw CLI::ValidationError(name, "expected a size such as 512M or 2G: " + text);
    value = *parsed;
  });
}

void Options::dtype(const std::string& name, Dtype& value, const std::string& help) {
  add_text(app_, name, "TYPE", help, [&value, name](const std::string& text) {
    const auto parsed = parse_dtype(text);
    if (!parsed) throw CLI::ValidationError(name, "expected f32, f16, bf16, int8 or int4: " + text);
    value = *parsed;
  });
}

void Options::dtype_or_auto(const std::string& name, Dtype& value, const std::string& help) {
  add_text(app_, name, "TYPE", help, [&value, name](const std::string& text) {
    const auto parsed = text == "auto" ? std::optional(Dtype::undefined) : parse_dtype(text);
    if (!parsed)
      throw CLI::ValidationError(name,
                                 "expected f32, f16, bf16, int8, int4, f8e4m3fn or auto: " + text);
    value = *parsed;
  });
}

void add_running_options(Options& options, SessionOptions& session) {
  options.dtype_or_auto(
      "--dtype", session.dtype,
      "How weights are held: f32 (default), f16, bf16; int8, int4: products of bytes; f8e4m3fn: of "
      "fp8, on Hopper GPUs as int8; auto: the fastest on this CPU that keeps --least-cosine");
  options.number("--least-cosine", session.least_cosine,
                 "For --dtype auto: the least mean cosine of the outputs to f32");
  options.number("--threads", session.threads, "Threads; 0: as many as the process may use", 0);
  options.flag("--throughput", session.throughput,
               "A thread for each request instead of all for one");
  options.flag("--pin", session.pin, "Keep each worker thread on a CPU of its own");
  options.text(
      "--devices", session.devices, "LIST",
      "Where to run: cpu, cuda, cuda:1; or a list with an entry for each replica of the "
      "model: cpu,cpu; with --placement those that one model is spread over: cuda:0,cuda:1");
  options.text(
      "--placement", session.placement, "auto",
      "auto: a model that one GPU has no room for is spread over the GPUs of the list and, last, "
      "the CPU (see `tercel plan`)");
  options.text("--cpu-isa", session.cpu_isa, "NAME",
               "Best instruction set to use: amx, avx512_bf16, avx512_vnni, avx512, avx2_vnni, "
               "avx2, generic");
  options.bytes("--memory-limit", session.memory_limit,
                "Most memory for weights and requests: 512M, 2G");
  options.negative_flag("--no-tuning-cache", session.tuning_cache,
                        "Keep no file of which kernels of a GPU were the fastest");
  options.flag("--deterministic", session.deterministic,
               "The bits of an answer depend on nothing else in its batch: on a GPU, for f16 and "
               "bf16; the CPU's never do");
  options.negative_flag("--no-optimize", session.optimize, "Run the graph as it is in the file");
}

void add_session_options(Options& options, SessionOptions& session) {
  add_running_options(options, session);
  options.flag("--strict", session.strict,
               "Refuse a model of which something would run on the CPU though a GPU was asked for");
  options.text("--task", session.task, "NAME",
               "What a checkpoint is loaded for, if not what its config says");
}

void add_answering_options(Options& options, tasks::QuestionAnsweringOptions& answering) {
  options.number("--max-length", answering.max_length, "Tokens of a window");
  options.number("--stride", answering.stride, "Tokens that neighbouring windows share", 0);
  options.flag("--allow-null", answering.allow_null,
               "SQuAD 2: say so when the document has no answer (for models that were trained to)");
  options.number("--null-threshold", answering.null_threshold,
                 "By how much no answer must pass the best one");
}

CommandLine::CommandLine() : app_(std::make_unique<CLI::App>(kDescription, "tercel")) {
  app_->footer(kFooter);
  app_->set_version_flag("--version", "tercel " + std::string(version()));
  app_->require_subcommand(1);
}

CommandLine::~CommandLine() = default;

Options CommandLine::add(const std::string& name, const std::string& description,
                         const std::string& examples, std::function<void()> run) {
  CLI::App* command = app_->add_subcommand(name, description);
  command->footer("Examples:\n" + examples);
  command->callback([this, run = std::move(run)] { chosen_ = run; });
  return Options(*command);
}

std::function<void()> CommandLine::parse(int count, const char* const* arguments,
                                         std::string& answer) {
  try {
    app_->parse(count, arguments);
  } catch (const CLI::CallForHelp&) {
    answer = app_->help();
    return nullptr;
  } catch (const CLI::CallForVersion& version) {
    answer = std::string(version.what()) + "\n";
    return nullptr;
  } catch (const CLI::ParseError& error) {
    const auto chosen = app_->get_subcommands();
    const std::string name = chosen.empty() ? "" : " " + chosen.front()->get_name();
    // What was not understood says more than what is missing because of it.
    const auto extras = app_->remaining(true);
    std::string what = error.what();
    if (!extras.empty())
      what = (chosen.empty() ? "no such command: " : "unexpected argument: ") + extras[0];
    throw Error(Errc::invalid_argument, what + " (see `tercel" + name + " --help`)");
  }
  return chosen_;
}

}  // namespace tercel::cli
