#pragma once
// What a session's options come to on this machine. All throw as Session::load does.

#include <memory>
#include <string>
#include <vector>

#include "src/device/cpu_isa.h"
#include "src/session/compile_model.h"
#include "tercel/session.h"

namespace tercel {

// Throws where a value is out of its range.
void check_options(const SessionOptions& options);

// The machine's best where none is wanted.
CpuIsa choose_isa(const std::string& wanted);

// Others widen the bytes first, exactly, and gain less by them.
bool multiplies_bytes(CpuIsa isa);

// Of a list "cpu,cuda:0". Throws where one is empty.
std::vector<std::string> device_list(const std::string& devices);

// The GPUs that the session runs on, none for the CPU alone: one without placement = auto, which
// takes a list of several, and the CPU behind them. Throws for a list that makes no sense.
std::vector<std::string> chosen_gpus(const SessionOptions& options);

// One for each of the GPUs, in their order.
std::vector<std::shared_ptr<runtime::Accelerator>> open_accelerators(const SessionOptions& options);

// On a GPU weights of bytes are rounded by the kernels that take them.
WeightTypes types_of_weights(Dtype chosen, bool on_cpu);

}  // namespace tercel
