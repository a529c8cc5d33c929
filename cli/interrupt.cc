#include "cli/interrupt.h"

#include <csignal>

#include <poll.h>
#include <unistd.h>

namespace tercel::cli {
namespace {

CancelFlag flag = false;
static_assert(CancelFlag::is_always_lock_free, "a signal handler may set it");

extern "C" void on_interrupt(int) {
  if (flag.exchange(true)) _exit(130);
}

}  // namespace

void handle_signals() {
  struct sigaction action = {};
  action.sa_handler = on_interrupt;  // without SA_RESTART: a blocked read ends
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
}

const CancelFlag& interrupted() { return flag; }

RunOptions cancellable() { return {.cancel = &flag}; }

void stop_if_interrupted() {
  if (flag) throw Error(Errc::cancelled, "interrupted");
}

void wait_for_input() {
  // A signal may arrive just before the call, or at another thread: hence the short waits.
  constexpr int kMilliseconds = 100;
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  while (true) {
    stop_if_interrupted();
    if (poll(&input, 1, kMilliseconds) > 0) return;
  }
}

}  // namespace tercel::cli
