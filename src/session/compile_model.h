#pragma once
// From a path to a program and what runs it, with weights of one type.

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "src/runtime/executor.h"
#include "src/session/load_model.h"
#include "tercel/session.h"

namespace tercel {

struct ModelSource {
  std::filesystem::path path;
  std::string task;
  bool optimize;
  CpuIsa isa;
  ThreadPool& pool;
  std::shared_ptr<Allocator> memory;
  runtime::Accelerator* accelerator = nullptr;  // null: the CPU alone
  bool strict = false;                          // with an accelerator: nothing may run on the CPU
};

// How weights are held: as `quantized`, i8 or i4, where it is said and they can be; else as
// `dtype`.
struct WeightTypes {
  Dtype dtype = Dtype::f32;
  Dtype quantized = Dtype::undefined;
  std::set<std::string> kept;  // names of weights that stay `dtype` although others are i8
};

struct CompiledModel {
  std::unique_ptr<runtime::Program> program;
  std::unique_ptr<runtime::Executor> executor;  // of the program
  std::vector<TensorInfo> inputs, outputs;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> warnings;
  std::map<Shape, std::set<std::string>> quantized;  // names of the 8-bit weights, by [K, N]
};

CompiledModel compile_model(const ModelSource& source, const WeightTypes& types);

}  // namespace tercel
