#include "src/runtime/program.h"

#include <algorithm>
#include <unordered_set>
#include <utility>
#include <variant>

#include "src/ops/op_def.h"
#include "src/runtime/epilogue.h"
#include "src/runtime/evaluate.h"
#include "src/runtime/layout.h"
#include "src/runtime/subgraph.h"

namespace tercel::runtime {
class Program::Compiler {
 public:
  Compiler(Program& program, const ProgramOptions& options, ThreadPool& pool, Allocator& memory)
      : program_(program),
        graph_(program.model_->graph),
        options_(options),
        pool_(pool),
        memory_(memory),
        facts_(ops::infer(graph_, {}, program.model_.get())),
        groups_(find_epilogues(graph_, facts_)),
        channels_last_(
            options.accelerator != nullptr
                ? ValueSet()
                : find_channels_last(graph_, facts_, groups_,
                                     [&](const ir::Node& node, const ops::Epilogue& epilogue) {
                                       return context(node, epilogue);
                                     })) {}

  void compile() {
    cut_sizing_steps();
    for (const ir::Value* input : graph_.inputs()) program_.inputs_.push_back(program_.slot(input));
    for (const auto& [first, group] : groups_) {
      last_of_group_.emplace(group.nodes.back(), first);
      for (const ir::Node* node : group.nodes) grouped_.insert(node);
    }
    for (const ir::Value* constant : graph_.initializers())
      load_budget_ += 16 * constant->initializer().bytes();
    for (const auto& node : graph_.nodes()) {
      if (is_load_time(*node) && take_from_budget(*node)) {
        for (int i = 0; i < node->num_outputs(); ++i) load_time_.insert(node->output(i));
      } else if (const auto last = last_of_group_.find(node.get()); last != last_of_group_.end()) {
        add_group(groups_.at(last->second));
      } else if (!grouped_.contains(node.get()) && !cut_.contains(node.get())) {
        add_step(*node);
      }
    }
    for (const ir::Value* output : graph_.outputs())
      program_.outputs_.push_back(read_on(output, false, output->producer()));
    drop_unread_constants();
  }

 private:
  void cut_sizing_steps() {
    program_.given_ = graph_.inputs().size();
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph_.nodes()) {
      if (may_give_sizes(*node)) nodes.push_back(node.get());
    }
    for (ir::Node* node : nodes) {
      Step step;
      step.nodes = {node};
      choose_on_cpu(step, context(*node, {}));
      if (!step.kernel->allocates_outputs()) continue;
      connect(step, *node, *node);
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

  bool may_give_sizes(const ir::Node& node) const {
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
      if (!index || !type->dims || output->is_graph_output()) return false;
      open |= !type->shape();
    }
    return open;
  }

  // The same at every run, computed at load if anyone reads it.
  bool is_load_time(const ir::Node& node) const {
    const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
    if (def == nullptr || !def->deterministic || grouped_.contains(&node)) return false;
    if (runs_subgraphs(node)) return false;  // what the graphs use is not among its inputs
    return std::all_of(node.inputs().begin(), node.inputs().end(), [&](const ir::Value* input) {
      return input == nullptr || input->is_constant() || load_time_.contains(input);
    });
  }

  ops::KernelContext context(const ir::Node& node, const ops::Epilogue& epilogue,
                             ops::Layouts layouts = {}) const {
    const Dtype weights = options_.accelerator != nullptr ? Dtype::f32 : options_.weight_dtype;
    return {node, facts_, options_.isa, pool_, memory_, weights, epilogue, layouts};
  }
  ops::KernelContext device_context(const ir::Node& node, const ops::Epilogue& epilogue) const {
    const Accelerator& accelerator = *options_.accelerator;
    return {node,
            facts_,
            options_.isa,
            pool_,
            accelerator.memory(),
            accelerator.float_dtype(),
            epilogue,
            {},
            &accelerator.device()};
  }

  // Of a node, with all that is computed with it up to `output`.
  ops::Layouts layouts(const ir::Node& node, const ir::Value* output) const {
    if (is_pointwise(node)) return {};
    return {channels_last_.contains(node.input(0)), channels_last_.contains(output)};
  }

  void add_step(const ir::Node& node) {
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
    } else if (!choose_on_device(step, node, {})) {
      require_device(step, node);
      choose_on_cpu(step, context(node, {}, layouts(node, node.output())));
    }
    connect(step, node, node);
    program_.steps_.push_back(std::move(step));
  }

  void add_subgraphs(Step step, const ir::Node& node) {
    if (options_.accelerator != nullptr)
      step.refusals.emplace_back("device: operators that run graphs run on the CPU");
    require_device(step, node);
    ProgramOptions options = options_;
    options.accelerator = nullptr;
    SubgraphStep compiled = compile_subgraphs(node, facts_, options, pool_, memory_);
    step.kernel = std::move(compiled.kernel);
    step.implementation = compiled.implementation;
    connect(step, node, node);
    for (const ir::Value* value : compiled.captured)
      step.inputs.push_back(read_on(value, false, &node));
    program_.steps_.push_back(std::move(step));
  }

  void add_group(const FusedGroup& group) {
    const ir::Node& first = *group.nodes.front();
    Step step;
    step.nodes = group.nodes;
    if (!choose_group(step, group)) {
      for (const ir::Node* node : group.nodes) add_step(*node);
      return;
    }
    connect(step, first, *group.nodes.back());
    if (group.residual != nullptr)
      step.inputs.push_back(read_on(group.residual, step.on_device, &first));
    program_.steps_.push_back(std::move(step));
  }

  bool choose_group(Step& step, const FusedGroup& group) {
    const ir::Node& first = *group.nodes.front();
    if (options_.accelerator != nullptr) return choose_on_device(step, first, group.epilogue);
    try {
      choose_on_cpu(step,
                    context(first, group.epilogue, layouts(first, group.nodes.back()->output())));
    } catch (const Error& error) {
      if (error.code() != Errc::unsupported) throw;
      return false;
    }
    return true;
  }

  bool choose_on_device(Step& step, const ir::Node& node, const ops::Epilogue& epilogue) {
    if (options_.accelerator == nullptr || says_shapes(node)) return false;
    const ops::KernelTable& table = options_.accelerator->kernels();
    ops::Choice choice = ops::choose_kernel(table, device_context(node, epilogue));
    step.kernel = std::move(choice.kernel);
    step.implementation = choice.implementation;
    step.refusals = std::move(choice.refusals);
    step.on_device = step.kernel != nullptr;
    if (table.find(node.domain(), node.op_type()) == nullptr)
      step.refusals.push_back(options_.accelerator->device().name() + ": has no such operator");
    return step.on_device;
  }

  // Its outputs are integers that the plan will know once it knows the inputs' shapes.
  bool says_shapes(const ir::Node& node) const {
    for (int i = 0; i < node.num_outputs(); ++i) {
      const ir::Value* output = node.output(i);
      const ir::Type* type = output != nullptr ? facts_.type(output) : nullptr;
      if (output != nullptr &&
          (facts_.contents(output) == nullptr || type == nullptr || is_floating_point(type->dtype)))
        return false;
    }
    return true;
  }

  void require_device(const Step& step, const ir::Node& node) const {
    if (!options_.strict || options_.accelerator == nullptr || says_shapes(node)) return;
    std::string reasons;
    for (const std::string& refusal : step.refusals)
      reasons += (reasons.empty() ? "" : "; ") + refusal;
    fail(Errc::unsupported, "{} would run on the CPU, which strict forbids: {}", node.label(),
         reasons);
  }

  static void choose_on_cpu(Step& step, const ops::KernelContext& context) {
    ops::Choice choice = ops::choose_cpu_kernel(context);
    step.kernel = std::move(choice.kernel);
    step.implementation = choice.implementation;
    std::move(choice.refusals.begin(), choice.refusals.end(), std::back_inserter(step.refusals));
  }

  void connect(Step& step, const ir::Node& first, const ir::Node& last) {
    // A view lies where what it views lies.
    const bool there =
        step.is_view() ? program_.on_device(read_slot(first.input(0))) : step.on_device;
    for (int i = 0; i < first.num_inputs(); ++i) {
      const ir::Value* input = first.input(i);
      const bool absorbed = step.kernel != nullptr && step.kernel->absorbs(i);
      const bool on_host = step.is_view() ? i > 0 : step.on_device && step.kernel->reads_on_host(i);
      const int slot =
          input == nullptr || absorbed ? -1 : read_on(input, there && !on_host, &first);
      step.inputs.push_back(slot);
    }
    for (int i = 0; i < last.num_outputs(); ++i) {
      step.outputs.push_back(last.output(i) != nullptr ? program_.slot(last.output(i)) : -1);
      if (there && step.outputs.back() >= 0)
        program_.on_device_[static_cast<std::size_t>(step.outputs.back())] = true;
    }
  }

  // The slot that holds the value on that side; a transfer fills it when the value lies on the
  // other. `reader`: for messages.
  int read_on(const ir::Value* value, bool on_device, const ir::Node* reader) {
    const int home = read_slot(value);
    if (program_.on_device(home) == on_device) return home;
    const auto known = moved_.find(home);
    if (known != moved_.end()) return known->second;
    const int copy = program_.add_slot(value, on_device);
    moved_.emplace(home, copy);
    if (on_device && program_.constant(home).defined()) {
      program_.constants_[static_cast<std::size_t>(copy)] =
          options_.accelerator->upload(program_.constant(home), pool_);
      return copy;
    }
    Step step;
    step.nodes = {reader};
    step.transfer = on_device ? Transfer::to_device : Transfer::to_host;
    step.implementation = on_device ? "to_device" : "to_host";
    step.inputs = {home};
    step.outputs = {copy};
    program_.steps_.push_back(std::move(step));
    return copy;
  }

  // What is computed at load stays in proportion to the file. What is larger, or of a size that
  // nobody can tell before, is left to the runs, which have a memory cap and a deadline.
  bool take_from_budget(const ir::Node& node) {
    std::size_t bytes = 256;
    const auto add = [&](const ir::Value* value) {
      const ir::Type* type = facts_.type(value);
      const auto shape = type != nullptr ? type->shape() : std::nullopt;
      if (!shape || type->dtype == Dtype::undefined) return false;
      const int64_t count = element_count(*shape);
      const std::size_t own = type->dtype == Dtype::string
                                  ? static_cast<std::size_t>(count) * sizeof(std::string)
                                  : bytes_of(type->dtype, count);
      bytes = own > load_budget_ ? load_budget_ + 1 : bytes + own;
      return bytes <= load_budget_;
    };
    for (const ir::Value* input : node.inputs()) {
      if (input != nullptr && !add(input)) return false;
    }
    for (int i = 0; i < node.num_outputs(); ++i) {
      if (node.output(i) != nullptr && !add(node.output(i))) return false;
    }
    load_budget_ -= std::min(bytes, load_budget_);
    return true;
  }

  int read_slot(const ir::Value* value) {
    const int slot = program_.slot(value);
    if (program_.constant(slot).defined()) return slot;
    if (value->is_constant())
      program_.constants_[static_cast<std::size_t>(slot)] = value->initializer();
    else if (load_time_.contains(value))
      compute(*value->producer());
    return slot;
  }

  // With all that it needs, and without recursion: a chain may be as long as the file.
  void compute(const ir::Node& wanted) {
    std::vector<const ir::Node*> waiting{&wanted};
    while (!waiting.empty()) {
      const ir::Node& node = *waiting.back();
      const std::size_t before = waiting.size();
      for (const ir::Value* input : node.inputs()) {
        if (input == nullptr || input->is_constant() || computed_.contains(input->producer()))
          continue;
        waiting.push_back(input->producer());
      }
      if (waiting.size() > before) continue;
      waiting.pop_back();
      if (computed_.insert(&node).second) compute_one(node);
    }
  }

  void compute_one(const ir::Node& node) {
    std::vector<Tensor> inputs;
    for (const ir::Value* input : node.inputs()) {
      if (input == nullptr)
        inputs.emplace_back();
      else
        inputs.push_back(input->is_constant() ? input->initializer()
                                              : program_.constant(program_.slot(input)));
    }
    const auto outputs = evaluate(node, inputs, options_.isa, pool_, memory_);
    for (int i = 0; i < node.num_outputs(); ++i) {
      if (node.output(i) == nullptr) continue;
      const int slot = program_.slot(node.output(i));
      program_.constants_[static_cast<std::size_t>(slot)] = outputs[static_cast<std::size_t>(i)];
    }
  }

  // Weights that live on inside kernels alone give their memory back. Small constants stay:
  // inference reads shapes and axes from them.
  void drop_unread_constants() {
    std::unordered_set<int> read(program_.outputs_.begin(), program_.outputs_.end());
    for (const Step& step : program_.steps_) read.insert(step.inputs.begin(), step.inputs.end());
    for (std::size_t slot = 0; slot < program_.constants_.size(); ++slot) {
      if (!read.contains(static_cast<int>(slot))) program_.constants_[slot] = Tensor();
    }
    for (ir::Value* initializer : program_.model_->graph.initializers()) {
      const auto slot = program_.slots_.find(initializer);
      const bool kept = slot != program_.slots_.end() && program_.constant(slot->second).defined();
      if (!kept && initializer->is_constant() &&
          initializer->initializer().size() > ops::kMaxContents) {
        program_.model_->graph.drop_constant(initializer);
      }
    }
  }

  Program& program_;
  ir::Graph& graph_;
  const ProgramOptions& options_;
  ThreadPool& pool_;
  Allocator& memory_;
  ops::Facts facts_;
  std::unordered_map<const ir::Node*, FusedGroup> groups_;
  ValueSet channels_last_;
  std::unordered_map<const ir::Node*, const ir::Node*> last_of_group_;
  std::unordered_set<const ir::Node*> grouped_;
  std::unordered_set<const ir::Node*> cut_;  // sizing steps
  std::unordered_set<const ir::Value*> load_time_;
  std::unordered_set<const ir::Node*> computed_;
  std::unordered_map<int, int> moved_;  // slot to the slot of its copy on the other side
  std::size_t load_budget_ = std::size_t{64} << 20;
};

Program::Program(std::unique_ptr<ir::Model> model, const ProgramOptions& options, ThreadPool& pool,
                 Allocator& memory)
    : model_(std::move(model)) {
  accelerator_ = options.accelerator;
  ops::forget_declared_shapes(model_->graph);
  Compiler(*this, options, pool, memory).compile();
}

int Program::slot(const ir::Value* value) {
  const auto [found, added] = slots_.emplace(value, num_slots());
  if (added) add_slot(value, false);
  return found->second;
}

int Program::add_slot(const ir::Value* value, bool on_device) {
  values_.push_back(value);
  constants_.emplace_back();
  on_device_.push_back(on_device);
  return num_slots() - 1;
}

std::size_t Program::constant_bytes() const {
  std::size_t bytes = 0;
  for (const Tensor& constant : constants_) bytes += constant.defined() ? constant.bytes() : 0;
  return bytes;
}

namespace {

void explain_step(const Step& step, const std::string& device, const std::string& output,
                  std::string& text) {
  std::string operators;
  for (const ir::Node* node : step.nodes) {
    if (!operators.empty()) operators += " + ";
    if (!node->domain().empty()) operators += node->domain() + ".";
    operators += node->op_type();
  }
  if (step.transfer != Transfer::none) operators = "(transfer)";
  const std::string where = step.on_device ? device + " " : "";
  text += fmt::format("{:<44} {:<28} {}\n", operators, where + step.implementation, output);
  for (const std::string& refusal : step.refusals) text += "    refused " + refusal + "\n";
}

}  // namespace

std::string Program::explain() const {
  const std::string device = accelerator_ != nullptr ? accelerator_->device().name() : "";
  std::string text;
  for (const auto* steps : {&sizing_, &steps_}) {
    for (const Step& step : *steps) {
      const int output = step.outputs.empty() ? -1 : step.outputs.front();
      explain_step(step, device, output >= 0 ? value(output)->name() : "", text);
    }
  }
  return text;
}

}  // namespace tercel::runtime
