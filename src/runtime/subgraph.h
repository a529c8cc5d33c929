#pragma once
// Operators that run graphs: If, Loop, Scan, SequenceMap. Each of their graphs is a program of its
// own, compiled at load. Deadlines and cancellation reach into them, and all that they hold counts
// against the session's memory cap.

#include <memory>
#include <string_view>
#include <vector>

#include "src/runtime/program.h"

namespace tercel::runtime {

// A kernel and what it reads.
struct SubgraphStep {
  std::unique_ptr<ops::CpuKernel> kernel;
  std::string_view implementation;
  // Values of surrounding graphs that the node's graphs use and that are not constants: the
  // kernel's inputs, after the node's own.
  std::vector<const ir::Value*> captured;
};

// The names of these operators, sorted.
std::span<const std::string_view> subgraph_operators();
bool runs_subgraphs(const ir::Node& node);

// `facts` are those of the graph that holds `node`. Throws what compiling a program throws.
SubgraphStep compile_subgraphs(const ir::Node& node, const ops::Facts& facts,
                               const ProgramOptions& options, ThreadPool& pool, Allocator& memory);

}  // namespace tercel::runtime
