#pragma once
// From a path to a graph that is ready to be compiled: read, raised to the newest opset, optimised.

#include <filesystem>
#include <memory>
#include <string>

#include "src/base/thread_pool.h"
#include "src/device/cpu_isa.h"
#include "src/device/memory.h"
#include "src/ir/model.h"

namespace tercel {

// An ONNX file, a checkpoint's directory, or a directory with model.onnx. As it is stored,
// verified. Throws Errc::not_found, Errc::invalid_file, Errc::unsupported.
std::unique_ptr<ir::Model> read_model(const std::filesystem::path& path, const std::string& task);

// What evaluates constants while a graph is rewritten.
struct Machine {
  CpuIsa isa;
  ThreadPool& pool;
  Allocator& memory;
};

// Puts the model into evaluation mode, raises it to ir::kOpset, infers types, and runs the
// optimising passes when asked.
void prepare_model(ir::Model& model, const Machine& machine, bool optimize);

}  // namespace tercel
