#include <exception>
#include <new>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/interrupt.h"
#include "tercel/error.h"

namespace tercel::cli {
namespace {

constexpr int kFailed = 1;
constexpr int kBadInput = 2;
constexpr int kInterrupted = 130;

int exit_code(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
    case Errc::invalid_file:
    case Errc::not_found:
    case Errc::unsupported:
      return kBadInput;
    case Errc::cancelled:
      return kInterrupted;
    default:
      return kFailed;
  }
}

int report(const std::string& message, int code) {
  print_error("tercel: " + one_line(message) + "\n");
  return code;
}

void run(int count, const char* const* arguments) {
  CommandLine line;
  add_ask(line);
  add_bench(line);
  add_classify(line);
  add_devices(line);
  add_embed(line);
  add_evaluate(line);
  add_predict(line);
  add_show(line);
  add_run(line);
  add_export(line);
  add_plan(line);
  add_tokenize(line);
  std::string answer;
  const auto command = line.parse(count, arguments, answer);
  if (!command) return print(answer);
  command();
}

}  // namespace
}  // namespace tercel::cli

int main(int count, char** arguments) {
  using namespace tercel::cli;
  handle_signals();
  try {
    run(count, arguments);
    return 0;
  } catch (const tercel::Error& error) {
    return report(error.what(), exit_code(error.code()));
  } catch (const std::bad_alloc&) {
    return report("out of memory", kFailed);
  } catch (const std::exception& error) {
    return report(error.what(), kFailed);
  }
}
