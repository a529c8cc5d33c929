#pragma once
// One graph of an operator that runs graphs, compiled: its captured values have become inputs
// (variables) and initializers (constants).

#include <memory>
#include <vector>

#include "src/runtime/executor.h"
#include "src/runtime/subgraph.h"

namespace tercel::runtime {

class Body {
 public:
  // Runs the graph once on its own inputs; what it captures is taken from the inputs of the node's
  // kernel. The results are in memory of their own.
  std::vector<Tensor> run(std::vector<Tensor> own, const ops::KernelRun& node) const;

  std::size_t num_outputs() const { return program_->outputs().size(); }
  // What a run would give for own inputs of these types, as far as that can be told.
  std::vector<ir::Type> infer(const std::vector<ir::Type>& own, const ops::KernelRun& node) const;

 private:
  friend class BodyCompiler;
  std::unique_ptr<Program> program_;
  std::unique_ptr<Executor> executor_;
  std::vector<std::size_t> captured_;  // positions among the kernel's inputs
};

// Of a value that is there; unknown for what is no tensor.
ir::Type type_of(const Tensor& value);

// Compiles the graphs of one node.
class BodyCompiler {
 public:
  BodyCompiler(const ir::Node& node, const ops::Facts& facts, const ProgramOptions& options,
               ThreadPool& pool, Allocator& memory, SubgraphStep& step)
      : node_(node), facts_(facts), options_(options), pool_(pool), memory_(memory), step_(step) {}

  // The graph of an attribute. What it captures is added to the step.
  Body compile(std::string_view attribute);

 private:
  std::size_t capture(const ir::Value* value);

  const ir::Node& node_;
  const ops::Facts& facts_;
  const ProgramOptions& options_;
  ThreadPool& pool_;
  Allocator& memory_;
  SubgraphStep& step_;
};

std::unique_ptr<ops::CpuKernel> make_loop(const ir::Node& node, Body body);
std::unique_ptr<ops::CpuKernel> make_scan(const ir::Node& node, Body body);

}  // namespace tercel::runtime
