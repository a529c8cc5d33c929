#pragma once
// Ctrl-C.

#include "tercel/session.h"

namespace tercel::cli {

// From here on Ctrl-C sets interrupted(); a second one ends the process at once. Writing to a
// closed pipe ends it quietly.
void handle_signals();

const CancelFlag& interrupted();

// Options of a run that Ctrl-C stops.
RunOptions cancellable();

// Throws Errc::cancelled after Ctrl-C.
void stop_if_interrupted();

// Returns when standard input has something to read, or has ended. Throws Errc::cancelled after
// Ctrl-C.
void wait_for_input();

}  // namespace tercel::cli
