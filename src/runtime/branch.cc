#include "src/runtime/branch.h"

#include <algorithm>

#include "src/runtime/executor.h"

namespace tercel::runtime {
namespace {

// A branch whose captured values have become inputs (variables) and initializers (constants).
struct Branch {
  std::unique_ptr<Program> program;
  std::unique_ptr<Executor> executor;
  std::vector<std::size_t> inputs;  // positions among the kernel's inputs
};

class IfKernel final : public ops::CpuKernel {
 public:
  IfKernel(Branch then_branch, Branch else_branch)
      : then_(std::move(then_branch)), else_(std::move(else_branch)) {}

  bool allocates_outputs() const override { return true; }

  void run(const ops::KernelRun& run) const override {
    const Branch& branch = run.inputs[0].values<bool>()[0] ? then_ : else_;
    std::vector<Tensor> inputs;
    for (const std::size_t index : branch.inputs) inputs.push_back(run.inputs[index]);
    std::vector<Tensor> outputs(branch.program->outputs().size());
    branch.executor->run(inputs, outputs, std::vector<bool>(outputs.size(), true), {});
    for (std::size_t i = 0; i < run.outputs.size(); ++i) run.outputs[i] = outputs[i];
  }

 private:
  Branch then_;
  Branch else_;
};

Branch compile_branch(const ir::Graph& graph, IfStep& step, const ops::Facts& facts,
                      const ProgramOptions& options, ThreadPool& pool, Allocator& memory) {
  auto model = std::make_unique<ir::Model>();
  std::unordered_map<const ir::Value*, ir::Value*> replaced;
  Branch branch;
  for (ir::Value* value : graph.captured()) {
    if (value->is_constant()) {
      replaced[value] = model->graph.add_initializer(value->name(), value->initializer());
      continue;
    }
    const ir::Type* type = facts.type(value);
    replaced[value] = model->graph.add_input(value->name(), type != nullptr ? *type : ir::Type{});
    auto known = std::find(step.captured.begin(), step.captured.end(), value);
    if (known == step.captured.end()) known = step.captured.insert(known, value);
    branch.inputs.push_back(1 + static_cast<std::size_t>(known - step.captured.begin()));
  }
  graph.clone_into(model->graph, std::move(replaced));
  branch.program = std::make_unique<Program>(std::move(model), options, pool, memory);
  branch.executor = std::make_unique<Executor>(*branch.program, pool, memory.shared_from_this());
  return branch;
}

}  // namespace

IfStep compile_if(const ir::Node& node, const ops::Facts& facts, const ProgramOptions& options,
                  ThreadPool& pool, Allocator& memory) {
  const ir::Graph* then_graph = node.subgraph("then_branch");
  const ir::Graph* else_graph = node.subgraph("else_branch");
  if (then_graph == nullptr || else_graph == nullptr) {
    fail(Errc::invalid_file, "{} needs the attributes then_branch and else_branch", node.label());
  }
  IfStep step;
  Branch then_branch = compile_branch(*then_graph, step, facts, options, pool, memory);
  Branch else_branch = compile_branch(*else_graph, step, facts, options, pool, memory);
  step.kernel = std::make_unique<IfKernel>(std::move(then_branch), std::move(else_branch));
  return step;
}

}  // namespace tercel::runtime
