#include "src/runtime/placement.h"

#include <algorithm>

#include "src/ops/op_def.h"
#include "src/runtime/evaluate.h"
#include "src/runtime/subgraph.h"

namespace tercel::runtime {

Program::Placement::Placement(Program& program, const ops::Facts& facts,
                              const ProgramOptions& options, ThreadPool& pool, Allocator& memory)
    : program_(program), facts_(facts), options_(options), pool_(pool), memory_(memory) {
  // Elements of less than a byte count as bytes: they become larger ones.
  for (const ir::Value* constant : program.model_->graph.initializers()) {
    const Tensor& tensor = constant->initializer();
    load_budget_ += 16 * std::max(tensor.bytes(), static_cast<std::size_t>(tensor.size()));
  }
}

bool Program::Placement::take_load_time(const ir::Node& node) {
  if (!is_load_time(node) || !take_from_budget(node)) return false;
  for (int i = 0; i < node.num_outputs(); ++i) load_time_.insert(node.output(i));
  return true;
}

bool Program::Placement::is_load_time(const ir::Node& node) const {
  const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
  if (def == nullptr || !def->deterministic) return false;
  if (runs_subgraphs(node)) return false;  // what the graphs use is not among its inputs
  return std::all_of(node.inputs().begin(), node.inputs().end(), [&](const ir::Value* input) {
    return input == nullptr || input->is_constant() || load_time_.contains(input);
  });
}

// What is computed at load stays in proportion to the file. What is larger, or of a size that
// nobody can tell before, is left to the runs, which have a memory cap and a deadline.
bool Program::Placement::take_from_budget(const ir::Node& node) {
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

void Program::Placement::connect(Step& step, const ir::Node& first, const ir::Node& last) {
  // A view lies where what it views lies.
  const bool there =
      step.is_view() ? program_.on_device(read_slot(first.input(0))) : step.on_device;
  for (int i = 0; i < first.num_inputs(); ++i) {
    const bool absorbed = step.kernel != nullptr && step.kernel->absorbs(i);
    const bool on_host = step.is_view() ? i > 0 : step.on_device && step.kernel->reads_on_host(i);
    add_input(step, absorbed ? nullptr : first.input(i), there && !on_host);
  }
  for (int i = 0; i < last.num_outputs(); ++i) add_output(step, last.output(i), there);
  if (step.is_view() && !there) views_.emplace(step.outputs.front(), &first);
}

void Program::Placement::add_input(Step& step, const ir::Value* value, bool on_device) {
  step.inputs.push_back(value == nullptr ? -1 : read_on(value, on_device, step.nodes.front()));
  step.input_values.push_back(value);
}

void Program::Placement::add_output(Step& step, const ir::Value* output, bool on_device) {
  step.outputs.push_back(output != nullptr ? program_.slot(output) : -1);
  step.output_values.push_back(output);
  if (on_device && output != nullptr)
    program_.on_device_[static_cast<std::size_t>(step.outputs.back())] = true;
}

int Program::Placement::read_on(const ir::Value* value, bool on_device, const ir::Node* reader) {
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
  if (on_device && views_.contains(home))
    add_view(*views_.at(home), copy);
  else
    add_transfer(home, copy, on_device, reader);
  return copy;
}

// Of what the view sees on the device, which may be read there by others, too.
void Program::Placement::add_view(const ir::Node& node, int copy) {
  Step step;
  step.nodes = {&node};
  step.implementation = "view";
  for (int i = 0; i < node.num_inputs(); ++i) add_input(step, node.input(i), i == 0);
  step.outputs = {copy};
  step.output_values = {node.output()};
  program_.steps_.push_back(std::move(step));
}

// The model's inputs go first, side by side: the plan makes one copy of them.
void Program::Placement::add_transfer(int home, int copy, bool to_device, const ir::Node* reader) {
  Step step;
  step.nodes = {reader};
  step.transfer = to_device ? Transfer::to_device : Transfer::to_host;
  step.implementation = to_device ? "to_device" : "to_host";
  step.inputs = {home};
  step.input_values = {program_.value(home)};
  step.outputs = {copy};
  step.output_values = {program_.value(home)};
  const auto& inputs = program_.inputs_;
  if (to_device && std::find(inputs.begin(), inputs.end(), home) != inputs.end())
    program_.steps_.insert(program_.steps_.begin() + input_transfers_++, std::move(step));
  else
    program_.steps_.push_back(std::move(step));
}

int Program::Placement::read_slot(const ir::Value* value) {
  const int slot = program_.slot(value);
  if (program_.constant(slot).defined()) return slot;
  if (value->is_constant())
    program_.constants_[static_cast<std::size_t>(slot)] = value->initializer();
  else if (load_time_.contains(value))
    compute(*value->producer());
  return slot;
}

// With all that it needs, and without recursion: a chain may be as long as the file.
void Program::Placement::compute(const ir::Node& wanted) {
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

void Program::Placement::compute_one(const ir::Node& node) {
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

}  // namespace tercel::runtime
