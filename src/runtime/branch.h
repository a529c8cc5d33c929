#pragma once
// If: the branches are programs of their own, compiled at load; a run goes through one of them.

#include <memory>
#include <vector>

#include "src/runtime/program.h"

namespace tercel::runtime {

// A kernel and what it reads.
struct IfStep {
  std::unique_ptr<ops::CpuKernel> kernel;
  // Values of surrounding graphs that the branches use and that are not constants: the kernel's
  // inputs, after the condition.
  std::vector<const ir::Value*> captured;
};

// `facts` are those of the graph that holds `node`.
IfStep compile_if(const ir::Node& node, const ops::Facts& facts, const ProgramOptions& options,
                  ThreadPool& pool, Allocator& memory);

}  // namespace tercel::runtime
