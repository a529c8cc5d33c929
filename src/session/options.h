#pragma once
// What a session's options come to on this machine. All throw as Session::load does.

#include <memory>
#include <string>

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

// The one that the session runs on; with placement = auto the GPU of a list that ends with the CPU.
std::string one_device(const SessionOptions& options);

// Null for the CPU.
std::shared_ptr<runtime::Accelerator> open_accelerator(const SessionOptions& options);

// On a GPU weights of bytes are rounded by the kernels that take them.
WeightTypes types_of_weights(Dtype chosen, bool on_cpu);

}  // namespace tercel
