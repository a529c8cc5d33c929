#include "src/runtime/context.h"

#include <algorithm>
#include <cstring>

#include "src/ir/place.h"
#include "src/ops/cpu_text.h"
#include "src/runtime/allocate.h"
#include "src/runtime/device_run.h"

namespace tercel::runtime {
namespace {

void copy_elements(const Tensor& from, Tensor& to) {
  if (from.dtype() == Dtype::string) {
    std::copy(from.strings().begin(), from.strings().end(), to.strings().begin());
  } else if (from.bytes() > 0) {
    std::memcpy(to.data(), from.data(), from.bytes());
  }
}

// Into a tensor of the caller's, whose shape nobody could check before the run.
void copy_checked(const Tensor& from, Tensor& to) {
  if (from.shape() != to.shape() || from.dtype() != to.dtype()) {
    fail(Errc::invalid_argument, "an output is bound to a tensor of {} {}; this run gives {} {}",
         to_string(to.dtype()), to_string(to.shape()), to_string(from.dtype()),
         to_string(from.shape()));
  }
  copy_elements(from, to);
}

std::vector<Shape> shapes_of(const std::vector<Tensor>& tensors) {
  std::vector<Shape> shapes;
  shapes.reserve(tensors.size());
  for (const Tensor& tensor : tensors) shapes.push_back(tensor.shape());
  return shapes;
}

// Shapes that depend on the data of this run: the step's nodes are inferred again from the tensors
// themselves.
ops::Facts infer_step(const Step& step, const std::vector<Tensor>& inputs, const Plan& plan) {
  ops::Facts facts;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const ir::Value* value = step.input_values[i];
    if (value == nullptr || !inputs[i].defined()) continue;
    const bool rounded = i == 0 && step.rounds_input;
    const bool readable =
        !rounded && !plan.slots[static_cast<std::size_t>(step.inputs[i])].on_device;
    const Dtype declared = rounded ? Dtype::f32 : value->type.dtype;
    if (readable)
      facts.learn(value, inputs[i]);
    else
      facts.set_type(value, ir::Type::tensor(declared, ir::to_dims(inputs[i].shape())));
  }
  for (const ir::Node* node : step.nodes) {
    for (const ir::Value* input : node->inputs()) {
      if (input != nullptr && input->is_constant()) facts.learn(input, input->initializer());
    }
    ops::infer_node(*node, facts, nullptr);
  }
  return facts;
}

}  // namespace

Context::Context(const Plan& plan, ThreadPool& pool, Allocator& memory, Accelerator* accelerator)
    : plan_(plan),
      pool_(pool),
      memory_(memory),
      accelerator_(accelerator),
      slots_(plan.slots.size()) {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (plan.slots[i].place == Place::constant) slots_[i] = plan.slots[i].constant;
  }
  if (accelerator != nullptr) device_run_ = std::make_unique<DeviceRun>(*this);
}

Context::~Context() = default;

void Context::bind_arena(std::byte* arena, std::byte* device_arena) {
  if (arena_ == arena && device_arena_ == device_arena) return;
  arena_ = arena;
  device_arena_ = device_arena;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const PlannedSlot& slot = plan_.slots[i];
    if (slot.place != Place::arena) continue;
    std::byte* base = slot.on_device ? device_arena : arena;
    slots_[i] = Tensor::view_of(base + slot.offset, slot.dtype, slot.shape);
  }
  if (device_run_ != nullptr) device_run_->forget();
}

void Context::attach(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                     const DeviceBinding& binding) {
  bound_outputs_ = &outputs;
  binding_ = &binding;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const PlannedSlot& slot = plan_.slots[i];
    if (slot.place != Place::input && slot.place != Place::output) continue;
    const auto& tensors = slot.place == Place::input ? inputs : outputs;
    const Tensor& tensor = tensors[static_cast<std::size_t>(slot.index)];
    const bool as_it_is = slot.dtype == Dtype::undefined || tensor.shape() == slot.shape;
    slots_[i] = as_it_is ? tensor : tensor.reshape(slot.shape);
  }
}

void Context::detach() {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const Place place = plan_.slots[i].place;
    if (place == Place::input || place == Place::output || place == Place::dynamic)
      slots_[i] = Tensor();
  }
  for (Tensor& tensor : inputs_) tensor = Tensor();
  for (Tensor& tensor : outputs_) tensor = Tensor();
  scratch_.clear();
}

void Context::run(const RunLimits& limits) {
  if (device_run_ != nullptr) return device_run_->run(limits);
  for (const PlannedStep& planned : plan_.steps) {
    limits.check();
    ir::at_node(*planned.step->nodes.front(), [&] { run_step(planned, limits); });
  }
}

void Context::run_step(const PlannedStep& planned, const RunLimits& limits) {
  if (planned.dynamic) {
    run_dynamic(*planned.step, limits);
  } else if (!planned.is_view) {
    load(*planned.step);
    if (!all_empty(outputs_)) {
      ops::run_kernel(*planned.step->kernel, kernel_run(arena_ + planned.workspace, limits));
    }
  }
}

ops::KernelRun Context::kernel_run(std::byte* workspace, const RunLimits& limits, Queue queue) {
  return {inputs_, outputs_,     workspace,   pool_,     memory_,
          limits,  queue.stream, queue.fault, queue.tune};
}

void Context::load(const Step& step) {
  inputs_.resize(step.inputs.size());
  outputs_.resize(step.outputs.size());
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    inputs_[i] = step.inputs[i] >= 0 ? slots_[static_cast<std::size_t>(step.inputs[i])] : Tensor();
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    outputs_[i] =
        step.outputs[i] >= 0 ? slots_[static_cast<std::size_t>(step.outputs[i])] : Tensor();
  }
}

void Context::run_dynamic(const Step& step, const RunLimits& limits, Queue queue) {
  load(step);
  for (Tensor& output : outputs_) output = Tensor();
  if (step.is_view())
    outputs_[0] = view(step, queue);
  else if (!step.kernel->allocates_outputs())
    allocate_outputs(step);
  if (!step.is_view() && !all_empty(outputs_)) {
    const std::size_t bytes =
        step.kernel->workspace(shapes_of(inputs_), shapes_of(outputs_), pool_.size());
    const auto scratch = bytes > 0 ? memory_of(step).allocate(bytes, "workspace") : nullptr;
    ops::run_kernel(*step.kernel, kernel_run(scratch ? scratch->data() : nullptr, limits, queue));
    if (queue.stream != nullptr) scratch_.push_back(scratch);
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (step.outputs[i] >= 0) slots_[static_cast<std::size_t>(step.outputs[i])] = outputs_[i];
  }
}

Allocator& Context::memory_of(const Step& step) {
  return step.on_device ? accelerator_->memory() : memory_;
}

void Context::allocate_outputs(const Step& step) {
  const ops::Facts facts = infer_step(step, inputs_, plan_);
  const Dtype floats = step.on_device       ? accelerator_->float_dtype()
                       : step.rounds_output ? Dtype::bf16
                                            : Dtype::f32;
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (step.output_values[i] != nullptr)
      outputs_[i] = allocate_output(*step.output_values[i], facts, memory_of(step), floats);
  }
}

// Memory that the plan uses again, or that is the caller's, cannot be shared beyond this step.
Tensor Context::view(const Step& step, Queue queue) {
  const Tensor& input = inputs_[0];
  if (!input.defined() || input.is_sequence()) return input;
  const ir::Node& node = *step.nodes.back();
  const ops::Facts facts = infer_step(step, inputs_, plan_);
  const ir::Type* type = facts.type(node.output());
  const auto shape = type != nullptr ? type->shape() : std::nullopt;
  if (!shape)
    fail(Errc::unsupported, "{} the shape of its output depends on unknown data", node.label());
  const PlannedSlot& slot = plan_.slots[static_cast<std::size_t>(step.inputs[0])];
  if (slot.place == Place::dynamic || slot.place == Place::constant) return input.reshape(*shape);
  if (!slot.on_device) return ops::copy_tensor(input, memory_, "a view").reshape(*shape);
  Tensor copy = ops::allocate_tensor(input.dtype(), *shape, accelerator_->memory(), "a view");
  accelerator_->device().copy(copy.data(), input.data(), input.bytes(), *queue.stream);
  return copy;
}

void Context::collect(const std::vector<int>& slots, std::vector<Tensor>& outputs) const {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!plan_.wanted[i] || binding_->output(static_cast<int>(i)) != Home::host) continue;
    const auto index = static_cast<std::size_t>(slots[i]);
    // Sequences and optional values have no element type, and are shared.
    const bool shared =
        plan_.slots[index].place == Place::dynamic || plan_.slots[index].dtype == Dtype::undefined;
    if (shared && !outputs[i].defined())
      outputs[i] = slots_[index];
    else if (shared)
      copy_checked(slots_[index], outputs[i]);
    else if (plan_.copy_output[i])
      copy_elements(slots_[index], outputs[i]);
  }
}

const Tensor& Context::slot(int index) const { return slots_[static_cast<std::size_t>(index)]; }

}  // namespace tercel::runtime
