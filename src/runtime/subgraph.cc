#include "src/runtime/subgraph.h"

#include <algorithm>
#include <array>

#include "src/ops/cpu_text.h"
#include "src/runtime/body.h"

namespace tercel::runtime {
namespace {

class IfKernel final : public ops::TextKernel {
 public:
  IfKernel(Body then_body, Body else_body)
      : then_(std::move(then_body)), else_(std::move(else_body)) {}

  bool allocates_outputs() const override { return true; }

  void run(const ops::KernelRun& run) const override {
    const Tensor& condition = run.inputs[0];
    if (condition.size() != 1) {
      fail(Errc::invalid_argument, "[If] the condition has {} elements, not 1", condition.size());
    }
    std::vector<Tensor> results = (condition.values<bool>()[0] ? then_ : else_).run({}, run);
    std::move(results.begin(), results.end(), run.outputs.begin());
  }

 private:
  Body then_;
  Body else_;
};

// Runs the body on each item of a sequence.
class SequenceMapKernel final : public ops::TextKernel {
 public:
  SequenceMapKernel(const ir::Node& node, Body body)
      : label_(node.label()),
        inputs_(static_cast<std::size_t>(node.num_inputs())),
        body_(std::move(body)) {}

  bool allocates_outputs() const override { return true; }

  void run(const ops::KernelRun& run) const override {
    const auto inputs = run.inputs.first(inputs_);
    if (!inputs[0].is_sequence()) fail(Errc::invalid_argument, "{} expects a sequence", label_);
    const int64_t count = inputs[0].size();
    for (const Tensor& input : inputs) {
      if (input.is_sequence() && input.size() != count) {
        fail(Errc::invalid_argument, "{} its sequences have {} and {} items; they must agree",
             label_, count, input.size());
      }
    }
    for (Tensor& output : run.outputs)
      output = ops::allocate_tensor(Dtype::sequence, {count}, run.memory, "SequenceMap");
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      run.limits.check();
      std::vector<Tensor> own;
      for (const Tensor& input : inputs)
        own.push_back(input.is_sequence() ? input.items()[i] : input);
      std::vector<Tensor> results = body_.run(std::move(own), run);
      for (std::size_t k = 0; k < run.outputs.size(); ++k)
        run.outputs[k].items()[i] = std::move(results[k]);
    }
  }

 private:
  std::string label_;
  std::size_t inputs_;
  Body body_;
};

constexpr std::array<std::string_view, 4> kOperators{"If", "Loop", "Scan", "SequenceMap"};

}  // namespace

std::vector<Tensor> Body::run(std::vector<Tensor> own, const ops::KernelRun& node) const {
  std::vector<Tensor> inputs;
  inputs.reserve(captured_.size() + own.size());
  for (const std::size_t index : captured_) inputs.push_back(node.inputs[index]);
  std::move(own.begin(), own.end(), std::back_inserter(inputs));
  std::vector<Tensor> outputs(num_outputs());
  executor_->run(inputs, outputs, std::vector<bool>(outputs.size(), true), node.limits);
  return outputs;
}

std::vector<ir::Type> Body::infer(const std::vector<ir::Type>& own,
                                  const ops::KernelRun& node) const {
  std::vector<ir::Type> types;
  for (const std::size_t index : captured_) types.push_back(type_of(node.inputs[index]));
  types.insert(types.end(), own.begin(), own.end());
  const ir::Graph& graph = program_->model().graph;
  std::vector<ir::Type> results;
  try {
    const ops::Facts facts = ops::infer(graph, types, &program_->model());
    for (const ir::Value* output : graph.outputs()) {
      const ir::Type* type = facts.type(output);
      results.push_back(type != nullptr ? *type : ir::Type{});
    }
  } catch (const Error&) {  // a body that never runs need not fit
    results.clear();
    for (const ir::Value* output : graph.outputs()) results.push_back(output->type);
  }
  return results;
}

ir::Type type_of(const Tensor& value) {
  if (!value.defined() || value.is_sequence()) return {};
  return ir::Type::tensor(value.dtype(), ir::to_dims(value.shape()));
}

Body BodyCompiler::compile(std::string_view attribute) {
  const ir::Graph* graph = node_.subgraph(attribute);
  if (graph == nullptr)
    fail(Errc::invalid_file, "{} needs the attribute \"{}\"", node_.label(), attribute);
  auto model = std::make_unique<ir::Model>();
  std::unordered_map<const ir::Value*, ir::Value*> replaced;
  Body body;
  for (ir::Value* value : graph->captured()) {
    if (value->is_constant()) {
      replaced[value] = model->graph.add_initializer(value->name(), value->initializer());
      continue;
    }
    const ir::Type* type = facts_.type(value);
    replaced[value] = model->graph.add_input(value->name(), type != nullptr ? *type : ir::Type{});
    body.captured_.push_back(capture(value));
  }
  graph->clone_into(model->graph, std::move(replaced));
  for (std::size_t i = 0; i < graph->inputs().size(); ++i) {
    if (const ir::Type* type = facts_.type(graph->inputs()[i]))
      model->graph.inputs()[body.captured_.size() + i]->type = *type;
  }
  body.program_ = std::make_unique<Program>(std::move(model), options_, pool_, memory_);
  body.executor_ = std::make_unique<Executor>(*body.program_, pool_, memory_.shared_from_this());
  return body;
}

std::size_t BodyCompiler::capture(const ir::Value* value) {
  auto known = std::find(step_.captured.begin(), step_.captured.end(), value);
  if (known == step_.captured.end()) known = step_.captured.insert(known, value);
  return static_cast<std::size_t>(node_.num_inputs() + (known - step_.captured.begin()));
}

std::span<const std::string_view> subgraph_operators() { return kOperators; }

bool runs_subgraphs(const ir::Node& node) {
  return std::any_of(kOperators.begin(), kOperators.end(),
                     [&](std::string_view name) { return node.is(name); });
}

SubgraphStep compile_subgraphs(const ir::Node& node, const ops::Facts& facts,
                               const ProgramOptions& options, ThreadPool& pool, Allocator& memory) {
  SubgraphStep step;
  BodyCompiler compiler(node, facts, options, pool, memory, step);
  if (node.is("If")) {
    Body then_body = compiler.compile("then_branch");
    step.kernel = std::make_unique<IfKernel>(std::move(then_body), compiler.compile("else_branch"));
    step.implementation = "branch";
  } else if (node.is("Loop")) {
    step.kernel = make_loop(node, compiler.compile("body"));
    step.implementation = "loop";
  } else if (node.is("Scan")) {
    step.kernel = make_scan(node, compiler.compile("body"));
    step.implementation = "scan";
  } else {
    step.kernel = std::make_unique<SequenceMapKernel>(node, compiler.compile("body"));
    step.implementation = "sequence_map";
  }
  return step;
}

}  // namespace tercel::runtime
