#include "src/runtime/compiler.h"

#include <algorithm>

#include "src/ops/op_def.h"
#include "src/runtime/rounding.h"
#include "src/runtime/subgraph.h"

namespace tercel::runtime {

Program::Compiler::Compiler(Program& program, const ProgramOptions& options, ThreadPool& pool,
                            Allocator& memory)
    : program_(program),
      graph_(program.model_->graph),
      options_(options),
      pool_(pool),
      memory_(memory),
      facts_(ops::infer(graph_, {}, program.model_.get())),
      placement_(program, facts_, options, pool, memory),
      groups_(find_epilogues(graph_, facts_)) {
  for (const auto& [first, group] : groups_) {
    last_of_group_.emplace(group.nodes.back(), first);
    grouped_.insert(group.nodes.begin(), group.nodes.end());
  }
  const auto plain = [&](const ir::Node& node, const ops::Epilogue& epilogue) {
    return options_.accelerator != nullptr ? device_context(node, epilogue, nullptr)
                                           : context(node, epilogue);
  };
  channels_last_ =
      find_channels_last(graph_, facts_, groups_, plain,
                         [&](const ops::KernelContext& asked) { return takes(asked); });
  const auto accepts = [&](const ir::Node& node, const ops::Epilogue& epilogue,
                           ops::Rounding rounding) {
    ops::KernelContext asked = wanted(node, epilogue, nullptr);
    asked.rounding = rounding;
    return takes(asked);
  };
  program_.rounded_ = find_rounded(graph_, groups_, accepts);
}

void Program::Compiler::compile() {
  find_what_goes_together();
  cut_sizing_steps();
  for (const ir::Value* input : graph_.inputs()) program_.inputs_.push_back(program_.slot(input));
  compile_nodes();
  for (const ir::Value* output : graph_.outputs())
    program_.outputs_.push_back(placement_.read_on(output, false, output->producer()));
  if (options_.accelerator != nullptr) options_.accelerator->uploads().wait();
  drop_unread_constants();
}

void Program::Compiler::find_what_goes_together() {
  for (auto& groups : find_together(graph_, facts_, groups_)) {
    const ir::Node* first = groups.front().nodes.front();
    together_.emplace(first, std::move(groups));
  }
  for (LookupGroup& group : find_lookups(graph_, facts_)) {
    const ir::Node& norm = *group.nodes.back();
    ops::KernelContext asked = wanted(norm, {}, norm.output());
    asked.lookups = group.lookups;
    if (!takes(asked)) continue;
    grouped_.insert(group.nodes.begin(), group.nodes.end());
    lookups_.emplace(&norm, std::move(group));
  }
}

void Program::Compiler::compile_nodes() {
  for (const auto& node : graph_.nodes()) {
    if (!grouped_.contains(node.get()) && placement_.take_load_time(*node)) continue;
    if (const auto found = together_.find(node.get()); found != together_.end())
      add_together(found->second);
    if (done_.contains(node.get()) || cut_.contains(node.get())) continue;
    if (const auto last = last_of_group_.find(node.get()); last != last_of_group_.end())
      add_group(groups_.at(last->second));
    else if (const auto found = lookups_.find(node.get()); found != lookups_.end())
      add_lookups(found->second);
    else if (!grouped_.contains(node.get()))
      add_step(*node);
  }
}

void Program::Compiler::cut_sizing_steps() {
  program_.given_ = graph_.inputs().size();
  std::vector<ir::Node*> nodes;
  for (const auto& node : graph_.nodes()) {
    if (may_give_sizes(*node)) nodes.push_back(node.get());
  }
  for (ir::Node* node : nodes) {
    Step step;
    step.nodes = {node};
    ops::KernelContext asked = context(*node, {});
    if (options_.accelerator != nullptr) asked.device = &options_.accelerator->device();
    choose_on_cpu(step, asked);
    if (!step.kernel->allocates_outputs()) continue;
    placement_.connect(step, *node, *node);
    program_.sizing_.push_back(std::move(step));
    cut_.insert(node);
    for (int i = 0; i < node->num_outputs(); ++i) {
      ir::Value* output = node->output(i);
      const ir::Type* type = facts_.type(output);
      ir::Value* input = graph_.add_input(output->name(), *type);
      facts_.set_type(input, *type);
      graph_.replace_uses(output, input);
    }
  }
}

bool Program::Compiler::may_give_sizes(const ir::Node& node) const {
  if (node.num_inputs() == 0 || runs_subgraphs(node) ||
      ops::find_op(node.domain(), node.op_type()) == nullptr) {
    return false;
  }
  for (const ir::Value* input : node.inputs()) {
    if (input == nullptr || !input->is_graph_input() || !input->type.dims) return false;
  }
  bool open = false;
  for (int i = 0; i < node.num_outputs(); ++i) {
    const ir::Value* output = node.output(i);
    const ir::Type* type = output != nullptr ? facts_.type(output) : nullptr;
    const bool index =
        type != nullptr && (type->dtype == Dtype::i64 || type->dtype == Dtype::boolean);
    if (!index || !type->dims) return false;
    open |= !type->shape();
  }
  return open;
}

void Program::Compiler::add_step(const ir::Node& node) {
  const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
  if (def == nullptr) {
    fail(Errc::unsupported,
         "{} is not an operator that Tercel knows, and the model has no function of that name; "
         "`tercel show --operators` lists the operators",
         node.label());
  }
  Step step;
  step.nodes = {&node};
  if (runs_subgraphs(node)) {
    add_subgraphs(std::move(step), node);
    return;
  }
  if (def->view_of_input && node.num_outputs() == 1) {
    step.implementation = "view";
  } else if (options_.accelerator == nullptr ||
             !choose_on_device(step, device_context(node, {}, node.output()))) {
    require_device(step, node);
    choose_on_cpu(step, context(node, {}, node.output()));
  }
  placement_.connect(step, node, node);
  program_.steps_.push_back(std::move(step));
}

void Program::Compiler::add_subgraphs(Step step, const ir::Node& node) {
  if (options_.accelerator != nullptr)
    step.refusals.emplace_back("device: operators that run graphs run on the CPU");
  require_device(step, node);
  ProgramOptions options = options_;
  options.accelerator = nullptr;
  SubgraphStep compiled = compile_subgraphs(node, facts_, options, pool_, memory_);
  step.kernel = std::move(compiled.kernel);
  step.implementation = compiled.implementation;
  placement_.connect(step, node, node);
  for (const ir::Value* value : compiled.captured) {
    step.inputs.push_back(placement_.read_on(value, false, &node));
    step.input_values.push_back(nullptr);  // none of the node's own
  }
  program_.steps_.push_back(std::move(step));
}

// Products of one input, where the first of them stands, if a kernel takes them all.
void Program::Compiler::add_together(const std::vector<FusedGroup>& groups) {
  std::vector<ops::Sibling> siblings;
  for (std::size_t i = 1; i < groups.size(); ++i)
    siblings.push_back({*groups[i].nodes.front(), groups[i].epilogue});
  const FusedGroup& first = groups.front();
  ops::KernelContext asked =
      wanted(*first.nodes.front(), first.epilogue, first.nodes.back()->output());
  asked.siblings = siblings;
  if (!takes(asked)) return;
  Step step;
  for (const FusedGroup& group : groups)
    step.nodes.insert(step.nodes.end(), group.nodes.begin(), group.nodes.end());
  choose(step, asked);
  placement_.connect(step, *first.nodes.front(), *first.nodes.back());
  for (std::size_t i = 1; i < groups.size(); ++i)
    placement_.add_output(step, groups[i].nodes.back()->output(), step.on_device);
  done_.insert(step.nodes.begin(), step.nodes.end());
  program_.steps_.push_back(std::move(step));
}

// Where no kernel takes all of it: the product without its norm, and at last each node by itself.
void Program::Compiler::add_group(const FusedGroup& group) {
  const ir::Node& first = *group.nodes.front();
  const ops::KernelContext asked = wanted(first, group.epilogue, group.nodes.back()->output());
  if (!takes(asked)) {
    const bool alone = !group.epilogue.norm || group.nodes.size() == 2;
    if (!alone) add_group(without_norm(group));
    for (const ir::Node* node : group.nodes) {
      if (alone || node == group.nodes.back()) add_step(*node);
    }
    return;
  }
  Step step;
  step.nodes = group.nodes;
  choose(step, asked);
  placement_.connect(step, first, *group.nodes.back());
  if (group.residual != nullptr) placement_.add_input(step, group.residual, step.on_device);
  program_.steps_.push_back(std::move(step));
}

void Program::Compiler::add_lookups(const LookupGroup& group) {
  const ir::Node& norm = *group.nodes.back();
  ops::KernelContext asked = wanted(norm, {}, norm.output());
  asked.lookups = group.lookups;
  Step step;
  step.nodes = group.nodes;
  choose(step, asked);
  for (const auto& [node, index] : group.inputs)
    placement_.add_input(step, node->input(index), step.on_device);
  placement_.add_output(step, norm.output(), step.on_device);
  program_.steps_.push_back(std::move(step));
}

bool Program::Compiler::takes(const ops::KernelContext& context) const {
  if (options_.accelerator == nullptr) return ops::has_cpu_kernel(context);
  return !says_shapes(context.node) && ops::has_kernel(options_.accelerator->kernels(), context);
}

bool Program::Compiler::choose(Step& step, const ops::KernelContext& context) const {
  if (options_.accelerator != nullptr) return choose_on_device(step, context);
  choose_on_cpu(step, context);
  return true;
}

bool Program::Compiler::choose_on_device(Step& step, const ops::KernelContext& context) const {
  const ir::Node& node = context.node;
  if (says_shapes(node)) return false;
  const ops::KernelTable& table = options_.accelerator->kernels();
  ops::Choice choice = ops::choose_kernel(table, context);
  step.kernel = std::move(choice.kernel);
  step.implementation = choice.implementation;
  step.refusals = std::move(choice.refusals);
  step.on_device = step.kernel != nullptr;
  if (table.find(node.domain(), node.op_type()) == nullptr)
    step.refusals.push_back(options_.accelerator->device().name() + ": has no such operator");
  return step.on_device;
}

void Program::Compiler::choose_on_cpu(Step& step, const ops::KernelContext& context) {
  step.rounds_input = context.rounding.input;
  step.rounds_output = context.rounding.output;
  ops::Choice choice = ops::choose_cpu_kernel(context);
  step.kernel = std::move(choice.kernel);
  step.implementation = choice.implementation;
  std::move(choice.refusals.begin(), choice.refusals.end(), std::back_inserter(step.refusals));
}

// Its outputs are integers that the plan will know once it knows the inputs' shapes.
bool Program::Compiler::says_shapes(const ir::Node& node) const {
  for (int i = 0; i < node.num_outputs(); ++i) {
    const ir::Value* output = node.output(i);
    const ir::Type* type = output != nullptr ? facts_.type(output) : nullptr;
    if (output != nullptr &&
        (facts_.contents(output) == nullptr || type == nullptr || is_floating_point(type->dtype)))
      return false;
  }
  return true;
}

void Program::Compiler::require_device(const Step& step, const ir::Node& node) const {
  if (!options_.strict || options_.accelerator == nullptr || says_shapes(node)) return;
  std::string reasons;
  for (const std::string& refusal : step.refusals)
    reasons += (reasons.empty() ? "" : "; ") + refusal;
  fail(Errc::unsupported, "{} would run on the CPU, which strict forbids: {}", node.label(),
       reasons);
}

ops::KernelContext Program::Compiler::wanted(const ir::Node& node, const ops::Epilogue& epilogue,
                                             const ir::Value* output) const {
  return options_.accelerator != nullptr ? device_context(node, epilogue, output)
                                         : context(node, epilogue, output);
}

ops::KernelContext Program::Compiler::device_context(const ir::Node& node,
                                                     const ops::Epilogue& epilogue,
                                                     const ir::Value* output) const {
  const Accelerator& accelerator = *options_.accelerator;
  return {node,
          facts_,
          options_.isa,
          pool_,
          accelerator.memory(),
          accelerator.float_dtype(),
          epilogue,
          layouts(node, output),
          &accelerator.device(),
          &accelerator.uploads(),
          {},
          rounding(node, output),
          {},
          accelerator.product_dtype(),
          accelerator.batch_invariant()};
}

ops::KernelContext Program::Compiler::context(const ir::Node& node, const ops::Epilogue& epilogue,
                                              const ir::Value* output) const {
  ops::KernelContext found = context(node, epilogue, layouts(node, output));
  found.rounding = rounding(node, output);
  return found;
}

ops::Rounding Program::Compiler::rounding(const ir::Node& node, const ir::Value* output) const {
  return {program_.rounded_.contains(node.input(0)), program_.rounded_.contains(output)};
}

ops::KernelContext Program::Compiler::context(const ir::Node& node, const ops::Epilogue& epilogue,
                                              ops::Layouts layouts) const {
  const bool on_cpu = options_.accelerator == nullptr;
  const Dtype weights = on_cpu ? options_.weight_dtype : Dtype::f32;
  ops::KernelContext found{node, facts_, options_.isa, pool_, memory_, weights, epilogue, layouts};
  if (on_cpu) found.product_dtype = options_.product_dtype;
  return found;
}

ops::Layouts Program::Compiler::layouts(const ir::Node& node, const ir::Value* output) const {
  if (is_pointwise(node)) return {};
  return {channels_last_.contains(node.input(0)), channels_last_.contains(output)};
}

// Weights that live on inside kernels alone give their memory back. Small constants stay: inference
// reads shapes and axes from them.
void Program::Compiler::drop_unread_constants() {
  std::unordered_set<int> read(program_.outputs_.begin(), program_.outputs_.end());
  for (const Step& step : program_.steps_) read.insert(step.inputs.begin(), step.inputs.end());
  for (std::size_t slot = 0; slot < program_.constants_.size(); ++slot) {
    if (!read.contains(static_cast<int>(slot))) program_.constants_[slot] = Tensor();
  }
  for (ir::Value* initializer : graph_.initializers()) {
    const auto slot = program_.slots_.find(initializer);
    const bool kept = slot != program_.slots_.end() && program_.constant(slot->second).defined();
    if (!kept && initializer->is_constant() &&
        initializer->initializer().size() > ops::kMaxContents) {
      graph_.drop_constant(initializer);
    }
  }
}

}  // namespace tercel::runtime
