#pragma once
// A model from any bytes, all the way: types inferred, optimised or not, compiled, and run once on
// a budget of memory and time. The only way out but a result is a tercel::Error.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>

#include "src/runtime/executor.h"
#include "src/session/load_model.h"

namespace tercel::fuzz {

// Enough for small tensors, and little enough that one step over them takes a moment.
inline constexpr std::size_t kMemory = std::size_t{8} << 20;
inline constexpr int64_t kMaxInput = 4096;  // elements

// Ones of the declared type; symbolic dimensions are 2. Undefined when it is no small tensor.
inline Tensor ones(const ir::Type& type) {
  if (type.kind != ir::Type::Kind::tensor || type.dtype == Dtype::undefined) return {};
  Shape shape;
  int64_t count = 1;
  for (const ir::Dim& dim : type.dims.value_or(ir::Dims())) {
    shape.push_back(dim.known() ? dim.value() : 2);
    if (shape.back() > kMaxInput) return {};
    count *= std::max<int64_t>(1, shape.back());
    if (count > kMaxInput) return {};
  }
  Tensor tensor(type.dtype, shape);
  if (type.dtype != Dtype::string)
    std::fill_n(static_cast<std::byte*>(tensor.data()), tensor.bytes(), std::byte{1});
  return tensor;
}

// Throws tercel::Error.
inline void run_model(std::unique_ptr<ir::Model> model, bool optimize) {
  ThreadPool pool(1);
  const auto memory = make_cpu_allocator(kMemory);
  prepare_model(*model, {CpuIsa::generic, pool, *memory}, optimize);
  runtime::Program program(std::move(model), {}, pool, *memory);
  runtime::Executor executor(program, pool, memory);
  const ir::Graph& graph = program.model().graph;
  std::vector<Tensor> inputs;
  for (const ir::Value* input : graph.inputs()) {
    inputs.push_back(input->initializer().defined() ? input->initializer() : ones(input->type));
    if (!inputs.back().defined()) return;
  }
  std::vector<Tensor> outputs(graph.outputs().size());
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
  executor.run(inputs, outputs, std::vector<bool>(outputs.size(), true), {nullptr, deadline});
}

// Both ways; true when either ran.
template <class Read>
bool runs(const Read& read) {
  bool ran = false;
  for (const bool optimize : {true, false}) {
    try {
      run_model(read(), optimize);
      ran = true;
    } catch (const Error& error) {
      if (error.code() == Errc::internal) throw;  // a broken invariant: a finding
    }
  }
  return ran;
}

}  // namespace tercel::fuzz
