#pragma once
// From a path to a program and what runs it, with weights of one type.

#include <filesystem>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "src/session/load_model.h"
#include "src/session/stages.h"
#include "tercel/session.h"

namespace tercel {

struct StageDevice {
  static constexpr std::size_t kAll = std::numeric_limits<std::size_t>::max();
  runtime::Accelerator* accelerator = nullptr;  // null: the CPU
  std::size_t room = kAll;                      // bytes of its memory that may be planned with
};

struct ModelSource {
  std::filesystem::path path;
  std::string task;
  bool optimize;
  CpuIsa isa;
  ThreadPool& pool;
  std::shared_ptr<Allocator> memory;
  // In the order in which layers are spread over them; behind the last, what none has room for is
  // the CPU's. Empty: the CPU alone.
  std::vector<StageDevice> devices;
  bool strict = false;  // with an accelerator: of its stage nothing may run on the CPU
};

// How weights are held: as `quantized`, i8 or i4, where it is said and they can be; else as
// `dtype`.
struct WeightTypes {
  Dtype dtype = Dtype::f32;
  Dtype quantized = Dtype::undefined;
  std::set<std::string> kept;  // names of weights that stay `dtype` although others are i8
};

struct CompiledModel {
  std::shared_ptr<const StagedProgram> program;
  std::unique_ptr<StagedExecutor> executor;  // of the program
  std::vector<TensorInfo> inputs, outputs;
  std::map<std::string, std::string> metadata;
  std::vector<std::string> warnings;
  std::string placement;  // which layers each device has, a line each; empty: not spread
  std::map<Shape, std::set<std::string>> quantized;  // names of the 8-bit weights, by [K, N]
};

CompiledModel compile_model(const ModelSource& source, const WeightTypes& types);

}  // namespace tercel
