#include "src/runtime/places.h"

#include <algorithm>

#include "src/ir/place.h"

namespace tercel::runtime {

Places::Places(const Program& program, Plan& plan, std::vector<bool> known_shape, ThreadPool& pool)
    : program_(program),
      plan_(plan),
      pool_(pool),
      known_shape_(std::move(known_shape)),
      storage_(plan.slots.size(), -1),
      in_block_(plan.slots.size(), 0) {}

void Places::place() {
  find_last_reads();
  place_inputs_side_by_side();
  for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
    PlannedStep& planned = plan_.steps[i];
    const Step& step = *planned.step;
    ir::at_node(*step.nodes.front(), [&] { place_step(planned, step, static_cast<int>(i)); });
  }
  claim_outputs();
  find_transferred_outputs();
  lay_out();
}

// The last step that reads each slot; a wanted output is read behind them all.
void Places::find_last_reads() {
  last_read_.assign(plan_.slots.size(), -1);
  for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
    for (const int input : plan_.steps[i].step->inputs) {
      if (input >= 0) last_read_[at_slot(input)] = static_cast<int>(i);
    }
  }
  for (std::size_t i = 0; i < program_.outputs().size(); ++i) {
    if (plan_.wanted[i])
      last_read_[at_slot(program_.outputs()[i])] = static_cast<int>(plan_.steps.size());
  }
}

// The transfers of the model's inputs, which come first: those that go as they are go in one copy.
void Places::place_inputs_side_by_side() {
  std::vector<PlannedStep*> transfers;
  std::vector<int> slots;
  for (PlannedStep& planned : plan_.steps) {
    const Step& step = *planned.step;
    if (!is_of_input(step)) break;
    const bool same = slot(step.inputs[0]).dtype == slot(step.outputs[0]).dtype;
    if (!same || is_dynamic(step)) continue;
    transfers.push_back(&planned);
    slots.push_back(step.outputs[0]);
  }
  if (transfers.size() < 2) return;
  place_side_by_side(slots, 0);
  const std::size_t bytes = blocks_.back().bytes;
  const int staging = add_block(bytes, 0, false);
  blocks_[static_cast<std::size_t>(staging)].last = static_cast<int>(plan_.steps.size());
  for (PlannedStep* planned : transfers) {
    planned->joined = true;
    planned->staging = in_block_[at_slot(planned->step->outputs[0])];
    stagings_.emplace_back(planned, staging);
  }
  transfers.front()->joined_bytes = bytes;
}

void Places::place_step(PlannedStep& planned, const Step& step, int at) {
  if (planned.joined) return;
  for (const int input : step.inputs) read(input, at);
  planned.dynamic = is_dynamic(step);
  if (planned.dynamic) {
    for (const int output : step.outputs) {
      if (output >= 0) slot(output).place = Place::dynamic;
    }
  } else if (planned.is_view) {
    place_view(step);
  } else {
    if (step.kernel != nullptr && step.kernel->outputs_side_by_side())
      place_side_by_side(step.outputs, at);
    else
      place_outputs(step, at);
    if (step.transfer == Transfer::none)
      reserve_workspace(planned, at);
    else
      reserve_staging(planned, at);
  }
}

// A transfer goes through memory that the device can reach, and through the other element type in
// the device's memory where that differs. The CPU must leave these bytes alone until the queue has
// passed them, which it learns at the end.
void Places::reserve_staging(PlannedStep& planned, int at) {
  const Step& step = *planned.step;
  const int host = step.transfer == Transfer::to_device ? step.inputs[0] : step.outputs[0];
  const int device = step.transfer == Transfer::to_device ? step.outputs[0] : step.inputs[0];
  const std::size_t bytes = bytes_of_slot(host);
  const int end = static_cast<int>(plan_.steps.size());
  if (step.transfer == Transfer::to_device) {
    const int staging = add_block(bytes, at, false);
    blocks_[static_cast<std::size_t>(staging)].last = end;
    stagings_.emplace_back(&planned, staging);
  } else {
    kept_[at_block(host)] = true;
  }
  if (slot(host).dtype != slot(device).dtype)
    workspaces_.emplace_back(&planned, add_block(bytes, at, true));
}

bool Places::is_dynamic(const Step& step) const {
  if (step.kernel != nullptr && step.kernel->allocates_outputs()) return true;
  const auto unknown = [&](int s) { return s >= 0 && !known_shape_[at_slot(s)]; };
  const auto allocated = [&](int s) { return s >= 0 && slot(s).place == Place::dynamic; };
  const auto text = [&](int s) { return s >= 0 && slot(s).dtype == Dtype::string; };
  return std::any_of(step.outputs.begin(), step.outputs.end(), unknown) ||
         std::any_of(step.outputs.begin(), step.outputs.end(), text) ||
         (step.is_view() && allocated(step.inputs[0]));
}

void Places::read(int index, int at) {
  if (index < 0 || storage_[at_slot(index)] < 0) return;
  blocks_[at_block(index)].last = at;
}

int Places::add_block(std::size_t bytes, int at, bool on_device) {
  blocks_.push_back({bytes, at, at, 0});
  on_device_.push_back(on_device);
  kept_.push_back(false);
  last_read_of_block_.push_back(-1);
  reads_here_.push_back(0);
  return static_cast<int>(blocks_.size()) - 1;
}

void Places::place_view(const Step& step) {
  const int from = step.inputs[0];
  const int to = step.outputs[0];
  const Shape shape = slot(to).shape;
  slot(to).place = slot(from).place;
  slot(to).index = slot(from).index;
  if (slot(from).place == Place::constant) slot(to).constant = slot(from).constant.reshape(shape);
  in_block_[at_slot(to)] = in_block_[at_slot(from)];
  store(to, storage_[at_slot(from)]);
}

void Places::place_outputs(const Step& step, int at) {
  for (std::size_t i = 0; i < step.outputs.size(); ++i) {
    const int output = step.outputs[i];
    if (output < 0) continue;
    PlannedSlot& target = slot(output);
    const std::size_t bytes = bytes_of_slot(output);
    const bool reuses = i == 0 && step.transfer == Transfer::none;
    int storage = reuses ? reusable(step, bytes, at) : -1;
    if (storage < 0) {
      storage = add_block(bytes, at, target.on_device);
      note_largest(step, bytes);
    }
    blocks_[static_cast<std::size_t>(storage)].last = at;
    if (is_of_input(step)) blocks_[static_cast<std::size_t>(storage)].first = 0;
    target.place = Place::arena;
    store(output, storage);
  }
}

// What is passing is copied before all else.
bool Places::is_of_input(const Step& step) const {
  return step.transfer == Transfer::to_device && slot(step.inputs[0]).place == Place::input;
}

// In one block, at even distances where their sizes agree.
void Places::place_side_by_side(const std::vector<int>& slots, int at) {
  std::size_t bytes = 0;
  for (const int index : slots) {
    in_block_[at_slot(index)] = bytes;
    bytes += aligned(bytes_of_slot(index));
  }
  const int storage = add_block(bytes, at, slot(slots.front()).on_device);
  kept_[static_cast<std::size_t>(storage)] = true;
  for (const int index : slots) {
    slot(index).place = Place::arena;
    store(index, storage);
  }
}

void Places::note_largest(const Step& step, std::size_t bytes) {
  if (bytes <= largest_) return;
  largest_ = bytes;
  plan_.largest = fmt::format("intermediate values, {} bytes of them for {}", bytes,
                              step.nodes.front()->label());
}

// The block of an input that dies at this step and that the kernel can write its result over.
int Places::reusable(const Step& step, std::size_t bytes, int at) {
  for (const int input : step.inputs) {
    if (input >= 0 && storage_[at_slot(input)] >= 0) ++reads_here_[at_block(input)];
  }
  int found = -1;
  for (std::size_t i = 0; i < step.inputs.size() && found < 0; ++i) {
    const int input = step.inputs[i];
    if (input < 0 || !step.kernel->in_place(static_cast<int>(i))) continue;
    const int storage = storage_[at_slot(input)];
    if (storage < 0 || blocks_[at_block(input)].bytes != bytes) continue;
    if (slot(input).on_device != step.on_device || kept_[at_block(input)]) continue;
    if (reads_here_[at_block(input)] == 1 && last_read_of_block_[at_block(input)] <= at)
      found = storage;
  }
  for (const int input : step.inputs) {
    if (input >= 0 && storage_[at_slot(input)] >= 0) reads_here_[at_block(input)] = 0;
  }
  return found;
}

// The slot lives in its block from here on: the block is read for as long as the slot is.
void Places::store(int index, int storage) {
  storage_[at_slot(index)] = storage;
  if (storage < 0) return;
  int& last = last_read_of_block_[static_cast<std::size_t>(storage)];
  last = std::max(last, last_read_[at_slot(index)]);
}

void Places::reserve_workspace(PlannedStep& planned, int at) {
  std::vector<Shape> inputs;
  std::vector<Shape> outputs;
  for (const int input : planned.step->inputs)
    inputs.push_back(input >= 0 ? slot(input).shape : Shape{});
  for (const int output : planned.step->outputs)
    outputs.push_back(output >= 0 ? slot(output).shape : Shape{});
  const bool known = std::all_of(planned.step->inputs.begin(), planned.step->inputs.end(),
                                 [&](int s) { return s < 0 || known_shape_[at_slot(s)]; });
  if (!known) {
    planned.dynamic = true;
    for (const int output : planned.step->outputs) {
      if (output < 0) continue;
      slot(output).place = Place::dynamic;
      storage_[at_slot(output)] = -1;
    }
    return;
  }
  const std::size_t bytes = planned.step->kernel->workspace(inputs, outputs, pool_.size());
  if (bytes == 0) return;
  workspaces_.emplace_back(&planned, add_block(bytes, at, planned.step->on_device));
  note_largest(*planned.step, bytes);
}

// An output that alone owns its block is written straight into the caller's memory.
void Places::claim_outputs() {
  const int end = static_cast<int>(plan_.steps.size());
  plan_.copy_output.assign(program_.outputs().size(), true);
  external_.assign(blocks_.size(), -1);
  for (std::size_t i = 0; i < program_.outputs().size(); ++i) {
    if (!plan_.wanted[i]) continue;
    const int output = program_.outputs()[i];
    const int storage = storage_[at_slot(output)];
    if (slot(output).place == Place::dynamic) plan_.copy_output[i] = false;
    if (storage < 0) continue;
    blocks_[at_block(output)].last = end;
    if (external_[at_block(output)] >= 0 || kept_[at_block(output)]) continue;
    external_[at_block(output)] = static_cast<int>(i);
    plan_.copy_output[i] = false;
  }
}

void Places::lay_out() {
  std::vector<Block> inner = blocks_;
  plan_.arena_bytes = lay_out_side(inner, false);
  if (program_.accelerator() != nullptr) plan_.device_bytes = lay_out_side(inner, true);
  for (std::size_t i = 0; i < plan_.slots.size(); ++i) {
    const int storage = storage_[i];
    if (storage < 0 || plan_.slots[i].place != Place::arena) continue;
    const int output = external_[static_cast<std::size_t>(storage)];
    plan_.slots[i].place = output >= 0 ? Place::output : Place::arena;
    plan_.slots[i].index = output;
    plan_.slots[i].offset = inner[static_cast<std::size_t>(storage)].offset + in_block_[i];
  }
  for (const auto& [planned, block] : workspaces_)
    planned->workspace = inner[static_cast<std::size_t>(block)].offset;
  for (const auto& [planned, block] : stagings_)
    planned->staging += inner[static_cast<std::size_t>(block)].offset;
}

// By a step of the plan.
bool Places::is_read(int index) const {
  return std::any_of(plan_.steps.begin(), plan_.steps.end(), [&](const PlannedStep& planned) {
    const auto& inputs = planned.step->inputs;
    return std::find(inputs.begin(), inputs.end(), index) != inputs.end();
  });
}

// What is passing is copied behind all else.
void Places::find_transferred_outputs() {
  const int end = static_cast<int>(plan_.steps.size());
  for (PlannedStep& planned : plan_.steps) {
    if (planned.step->transfer != Transfer::to_host || planned.dynamic) continue;
    const int filled = planned.step->outputs[0];
    const auto& outputs = program_.outputs();
    const auto found = std::find(outputs.begin(), outputs.end(), filled);
    const bool once =
        found != outputs.end() && std::find(found + 1, outputs.end(), filled) == outputs.end();
    const auto index = found - outputs.begin();
    if (!once || !plan_.wanted[static_cast<std::size_t>(index)] || is_read(filled)) continue;
    planned.output = static_cast<int>(index);
    const int from = planned.step->inputs[0];
    if (storage_[at_slot(from)] >= 0) blocks_[at_block(from)].last = end;
  }
}

// Sets the offsets of the blocks of one arena; its size.
std::size_t Places::lay_out_side(std::vector<Block>& blocks, bool on_device) const {
  std::vector<Block> side = blocks;
  for (std::size_t i = 0; i < side.size(); ++i) {
    if (external_[i] >= 0 || on_device_[i] != on_device) side[i].bytes = 0;
  }
  const std::size_t bytes = plan_memory(side);
  for (std::size_t i = 0; i < side.size(); ++i) {
    if (on_device_[i] == on_device) blocks[i].offset = side[i].offset;
  }
  return bytes;
}

}  // namespace tercel::runtime
