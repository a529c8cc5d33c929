#pragma once
// The command line's grammar: a command is a name, a help text and a set of options bound to
// variables. Only command.cc knows the library that reads arguments.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tercel/dtype.h"
#include "tercel/session.h"
#include "tercel/tasks.h"

namespace CLI {
class App;
}

namespace tercel::cli {

enum class Need { optional, required };

// Names are "-o,--output" for options and "model" for positional arguments. `kind` is what help
// calls the value: FILE, DIR, N. The value that a variable has when it is bound is the default.
class Options {
 public:
  explicit Options(CLI::App& app) : app_(app) {}

  void flag(const std::string& name, bool& value, const std::string& help);
  void negative_flag(const std::string& name, bool& value, const std::string& help);
  void text(const std::string& name, std::string& value, const std::string& kind,
            const std::string& help, Need need = Need::optional);
  // All arguments that are left.
  void texts(const std::string& name, std::vector<std::string>& values, const std::string& kind,
             const std::string& help);
  // An option that is given once for each value.
  void each(const std::string& name, std::vector<std::string>& values, const std::string& kind,
            const std::string& help);
  void number(const std::string& name, int& value, const std::string& help, int least = 1);
  void number(const std::string& name, int64_t& value, const std::string& help, int64_t least = 1);
  void number(const std::string& name, uint64_t& value, const std::string& help);
  void number(const std::string& name, float& value, const std::string& help);
  // 512M, 2G, 1.5GiB: powers of 1024.
  void bytes(const std::string& name, std::size_t& value, const std::string& help);
  void dtype(const std::string& name, Dtype& value, const std::string& help);
  // "auto" is Dtype::undefined.
  void dtype_or_auto(const std::string& name, Dtype& value, const std::string& help);

 private:
  CLI::App& app_;
};

// The options of every command that loads a model, with the session's own defaults.
void add_session_options(Options& options, SessionOptions& session);
// The same without --task and --strict, for a command that has its own.
void add_running_options(Options& options, SessionOptions& session);

// The options of every command that answers questions.
void add_answering_options(Options& options, tasks::QuestionAnsweringOptions& answering);

// "1.5G" in bytes, by powers of 1024; nothing when it is no size.
std::optional<std::size_t> parse_bytes(const std::string& text);

// The words between the commas of a list; one that is empty where nothing stands between two.
std::vector<std::string> split_list(const std::string& list);

class CommandLine {
 public:
  CommandLine();
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  // `examples`: lines that the help ends with. `run` is called once the options are read.
  Options add(const std::string& name, const std::string& description, const std::string& examples,
              std::function<void()> run);

  // Reads the arguments. Gives what to do then; or nothing when help or the version was asked for,
  // whose text is in `answer`. Throws Errc::invalid_argument.
  std::function<void()> parse(int count, const char* const* arguments, std::string& answer);

 private:
  std::unique_ptr<CLI::App> app_;
  std::function<void()> chosen_;
};

// One a file.
void add_ask(CommandLine& line);
void add_bench(CommandLine& line);
void add_classify(CommandLine& line);
void add_devices(CommandLine& line);
void add_embed(CommandLine& line);
void add_evaluate(CommandLine& line);
void add_export(CommandLine& line);
void add_plan(CommandLine& line);
void add_predict(CommandLine& line);
void add_run(CommandLine& line);
void add_show(CommandLine& line);
void add_tokenize(CommandLine& line);

}  // namespace tercel::cli
