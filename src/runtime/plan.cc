#include "src/runtime/plan.h"

#include <algorithm>
#include <unordered_set>

#include "src/ir/place.h"
#include "src/ops/op_def.h"
#include "src/runtime/memory_plan.h"

namespace tercel::runtime {
namespace {

class Planner {
 public:
  Planner(const Program& program, Plan& plan, ThreadPool& pool)
      : program_(program), plan_(plan), pool_(pool) {}

  void make(const std::vector<Shape>& inputs) {
    infer(inputs);
    place_leaves();
    keep_needed_steps();
    upload_known_contents();
    find_last_reads();
    place_steps();
    claim_outputs();
    lay_out();
  }

 private:
  PlannedSlot& slot(int index) { return plan_.slots[static_cast<std::size_t>(index)]; }

  void infer(const std::vector<Shape>& inputs) {
    std::vector<ir::Type> types;
    const auto graph_inputs = program_.model().graph.inputs();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const ir::Type& declared = graph_inputs[i]->type;
      const bool container =
          declared.kind != ir::Type::Kind::tensor && declared.kind != ir::Type::Kind::unknown;
      types.push_back(container ? declared
                                : ir::Type::tensor(declared.dtype, ir::to_dims(inputs[i])));
    }
    facts_ = ops::infer(program_.model().graph, types, &program_.model());
    plan_.slots.resize(static_cast<std::size_t>(program_.num_slots()));
    storage_.assign(plan_.slots.size(), -1);
    for (int i = 0; i < program_.num_slots(); ++i) {
      const ir::Type* type = facts_.type(program_.value(i));
      if (type == nullptr) continue;
      slot(i).on_device = program_.on_device(i);
      slot(i).dtype =
          slot(i).on_device ? program_.accelerator()->kept_as(type->dtype) : type->dtype;
      const auto shape = type->shape();
      if (shape) slot(i).shape = *shape;
      known_shape_.push_back(shape.has_value() && type->dtype != Dtype::undefined);
    }
    known_shape_.resize(plan_.slots.size(), false);
  }

  void place_leaves() {
    for (std::size_t i = 0; i < program_.inputs().size(); ++i) {
      PlannedSlot& input = slot(program_.inputs()[i]);
      input.place = Place::input;
      input.index = static_cast<int>(i);
    }
    for (int i = 0; i < program_.num_slots(); ++i) {
      if (program_.constant(i).defined()) {
        slot(i).place = Place::constant;
        slot(i).constant = program_.constant(i);
        slot(i).shape = program_.constant(i).shape();
        known_shape_[static_cast<std::size_t>(i)] = true;
      } else if (slot(i).place == Place::unused) {
        place_known_contents(i);
      }
    }
  }

  // Shapes and what is computed from them need no step once the input shapes are known.
  void place_known_contents(int index) {
    const ops::Contents* contents = facts_.contents(program_.value(index));
    PlannedSlot& target = slot(index);
    if (contents == nullptr || !known_shape_[static_cast<std::size_t>(index)]) return;
    if (element_count(target.shape) != static_cast<int64_t>(contents->size())) return;
    const bool known = std::all_of(contents->begin(), contents->end(),
                                   [](const ops::Known& element) { return element.is_number(); });
    if (!known) return;
    if (target.dtype == Dtype::i64)
      target.constant = filled<int64_t>(*contents, target.shape);
    else if (target.dtype == Dtype::i32)
      target.constant = filled<int32_t>(*contents, target.shape);
    else if (target.dtype == Dtype::boolean)
      target.constant = filled<bool>(*contents, target.shape);
    else
      return;
    target.place = Place::constant;
  }

  template <class T>
  static Tensor filled(const ops::Contents& contents, const Shape& shape) {
    Tensor tensor(dtype_of<T>(), shape);
    std::transform(contents.begin(), contents.end(), tensor.values<T>().begin(),
                   [](const ops::Known& element) { return static_cast<T>(element.number()); });
    return tensor;
  }

  // Backwards from the wanted outputs.
  void keep_needed_steps() {
    std::vector<bool> needed(plan_.slots.size(), false);
    for (std::size_t i = 0; i < program_.outputs().size(); ++i) {
      if (plan_.wanted[i]) needed[static_cast<std::size_t>(program_.outputs()[i])] = true;
    }
    std::vector<const Step*> kept;
    for (auto step = program_.steps().rbegin(); step != program_.steps().rend(); ++step) {
      const bool live = std::any_of(step->outputs.begin(), step->outputs.end(), [&](int output) {
        return output >= 0 && needed[static_cast<std::size_t>(output)] &&
               slot(output).place == Place::unused;
      });
      if (!live) continue;
      for (const int input : step->inputs) {
        if (input >= 0) needed[static_cast<std::size_t>(input)] = true;
      }
      kept.push_back(&*step);
    }
    for (auto step = kept.rbegin(); step != kept.rend(); ++step) {
      plan_.steps.push_back({*step, 0, 0, (*step)->is_view(), false});
    }
  }

  // What the device reads of the values that this plan knows.
  void upload_known_contents() {
    for (const PlannedStep& planned : plan_.steps) {
      for (const int input : planned.step->inputs) {
        if (input < 0 || slot(input).place != Place::constant || !slot(input).on_device) continue;
        if (program_.constant(input).defined() || uploaded_.contains(input)) continue;
        slot(input).constant = program_.accelerator()->upload(slot(input).constant, pool_);
        uploaded_.insert(input);
      }
    }
  }

  void place_steps() {
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      PlannedStep& planned = plan_.steps[i];
      const Step& step = *planned.step;
      ir::at_node(*step.nodes.front(), [&] { place_step(planned, step, static_cast<int>(i)); });
    }
  }

  void place_step(PlannedStep& planned, const Step& step, int at) {
    for (const int input : step.inputs) read(input, at);
    planned.dynamic = is_dynamic(step);
    if (planned.dynamic) {
      for (const int output : step.outputs) {
        if (output >= 0) slot(output).place = Place::dynamic;
      }
    } else if (planned.is_view) {
      place_view(step);
    } else {
      place_outputs(step, at);
      if (step.transfer == Transfer::none)
        reserve_workspace(planned, at);
      else
        reserve_staging(planned, at);
    }
  }

  // A transfer goes through memory that the device can reach, and through the other element type in
  // the device's memory where that differs. The CPU must leave these bytes alone until the queue
  // has passed them, which it learns at the end.
  void reserve_staging(PlannedStep& planned, int at) {
    const Step& step = *planned.step;
    const int host = step.transfer == Transfer::to_device ? step.inputs[0] : step.outputs[0];
    const int device = step.transfer == Transfer::to_device ? step.outputs[0] : step.inputs[0];
    const std::size_t bytes = bytes_of(slot(host).dtype, element_count(slot(host).shape));
    const int end = static_cast<int>(plan_.steps.size());
    if (step.transfer == Transfer::to_device) {
      const int staging = add_block(bytes, at, false);
      blocks_[static_cast<std::size_t>(staging)].last = end;
      stagings_.emplace_back(&planned, staging);
    } else {
      own_block_.push_back(storage_[at_slot(host)]);
    }
    if (slot(host).dtype != slot(device).dtype)
      workspaces_.emplace_back(&planned, add_block(bytes, at, true));
  }

  bool is_dynamic(const Step& step) {
    if (step.kernel != nullptr && step.kernel->allocates_outputs()) return true;
    const auto unknown = [&](int s) {
      return s >= 0 && !known_shape_[static_cast<std::size_t>(s)];
    };
    const auto allocated = [&](int s) { return s >= 0 && slot(s).place == Place::dynamic; };
    const auto text = [&](int s) { return s >= 0 && slot(s).dtype == Dtype::string; };
    return std::any_of(step.outputs.begin(), step.outputs.end(), unknown) ||
           std::any_of(step.outputs.begin(), step.outputs.end(), text) ||
           (step.is_view() && allocated(step.inputs[0]));
  }

  void read(int index, int at) {
    if (index < 0) return;
    const int storage = storage_[static_cast<std::size_t>(index)];
    if (storage >= 0) blocks_[static_cast<std::size_t>(storage)].last = at;
  }

  int add_block(std::size_t bytes, int at, bool on_device) {
    blocks_.push_back({bytes, at, at, 0});
    on_device_.push_back(on_device);
    last_read_of_block_.push_back(-1);
    reads_here_.push_back(0);
    return static_cast<int>(blocks_.size()) - 1;
  }

  void place_view(const Step& step) {
    const int from = step.inputs[0];
    const int to = step.outputs[0];
    const Shape shape = slot(to).shape;
    slot(to).place = slot(from).place;
    slot(to).index = slot(from).index;
    if (slot(from).place == Place::constant) slot(to).constant = slot(from).constant.reshape(shape);
    store(to, storage_[at_slot(from)]);
  }

  void place_outputs(const Step& step, int at) {
    for (std::size_t i = 0; i < step.outputs.size(); ++i) {
      const int output = step.outputs[i];
      if (output < 0) continue;
      PlannedSlot& target = slot(output);
      const std::size_t bytes = bytes_of(target.dtype, element_count(target.shape));
      const bool reuses = i == 0 && step.transfer == Transfer::none;
      int storage = reuses ? reusable(step, bytes, at) : -1;
      if (storage < 0) {
        storage = add_block(bytes, at, target.on_device);
        note_largest(step, bytes);
      }
      blocks_[static_cast<std::size_t>(storage)].last = at;
      target.place = Place::arena;
      store(output, storage);
    }
  }

  void note_largest(const Step& step, std::size_t bytes) {
    if (bytes <= largest_) return;
    largest_ = bytes;
    plan_.largest = fmt::format("intermediate values, {} bytes of them for {}", bytes,
                                step.nodes.front()->label());
  }

  // The block of an input that dies at this step and that the kernel can write its result over.
  int reusable(const Step& step, std::size_t bytes, int at) {
    for (const int input : step.inputs) {
      if (input >= 0 && storage_[at_slot(input)] >= 0) ++reads_here_[at_block(input)];
    }
    int found = -1;
    for (std::size_t i = 0; i < step.inputs.size() && found < 0; ++i) {
      const int input = step.inputs[i];
      if (input < 0 || !step.kernel->in_place(static_cast<int>(i))) continue;
      const int storage = storage_[at_slot(input)];
      if (storage < 0 || blocks_[at_block(input)].bytes != bytes) continue;
      if (slot(input).on_device != step.on_device) continue;
      if (reads_here_[at_block(input)] == 1 && last_read_of_block_[at_block(input)] <= at)
        found = storage;
    }
    for (const int input : step.inputs) {
      if (input >= 0 && storage_[at_slot(input)] >= 0) reads_here_[at_block(input)] = 0;
    }
    return found;
  }

  static std::size_t at_slot(int index) { return static_cast<std::size_t>(index); }
  std::size_t at_block(int index) const {
    return static_cast<std::size_t>(storage_[at_slot(index)]);
  }

  // `index` lives in its block from here on: the block is read for as long as the slot is.
  void store(int index, int storage) {
    storage_[at_slot(index)] = storage;
    if (storage < 0) return;
    int& last = last_read_of_block_[static_cast<std::size_t>(storage)];
    last = std::max(last, last_read_[at_slot(index)]);
  }

  // The last step that reads each slot; a wanted output is read behind them all.
  void find_last_reads() {
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

  void reserve_workspace(PlannedStep& planned, int at) {
    std::vector<Shape> inputs;
    std::vector<Shape> outputs;
    for (const int input : planned.step->inputs)
      inputs.push_back(input >= 0 ? slot(input).shape : Shape{});
    for (const int output : planned.step->outputs)
      outputs.push_back(output >= 0 ? slot(output).shape : Shape{});
    const bool known =
        std::all_of(planned.step->inputs.begin(), planned.step->inputs.end(),
                    [&](int s) { return s < 0 || known_shape_[static_cast<std::size_t>(s)]; });
    if (!known) {
      planned.dynamic = true;
      for (const int output : planned.step->outputs) {
        if (output < 0) continue;
        slot(output).place = Place::dynamic;
        storage_[static_cast<std::size_t>(output)] = -1;
      }
      return;
    }
    const std::size_t bytes = planned.step->kernel->workspace(inputs, outputs, pool_.size());
    if (bytes == 0) return;
    workspaces_.emplace_back(&planned, add_block(bytes, at, planned.step->on_device));
    note_largest(*planned.step, bytes);
  }

  // An output that alone owns its block is written straight into the caller's memory.
  void claim_outputs() {
    const int end = static_cast<int>(plan_.steps.size());
    plan_.copy_output.assign(program_.outputs().size(), true);
    std::vector<bool> claimed(blocks_.size(), false);
    external_.assign(blocks_.size(), -1);
    const auto transferred = [&](int storage) {
      return std::find(own_block_.begin(), own_block_.end(), storage) != own_block_.end();
    };
    for (std::size_t i = 0; i < program_.outputs().size(); ++i) {
      if (!plan_.wanted[i]) continue;
      const int output = program_.outputs()[i];
      const int storage = storage_[static_cast<std::size_t>(output)];
      if (slot(output).place == Place::dynamic) plan_.copy_output[i] = false;
      if (storage < 0) continue;
      blocks_[static_cast<std::size_t>(storage)].last = end;
      if (external_[static_cast<std::size_t>(storage)] >= 0 || transferred(storage)) continue;
      external_[static_cast<std::size_t>(storage)] = static_cast<int>(i);
      plan_.copy_output[i] = false;
    }
  }

  void lay_out() {
    std::vector<Block> inner = blocks_;
    plan_.arena_bytes = lay_out_side(inner, false);
    if (program_.accelerator() != nullptr) plan_.device_bytes = lay_out_side(inner, true);
    for (std::size_t i = 0; i < plan_.slots.size(); ++i) {
      const int storage = storage_[i];
      if (storage < 0 || plan_.slots[i].place != Place::arena) continue;
      const int output = external_[static_cast<std::size_t>(storage)];
      plan_.slots[i].place = output >= 0 ? Place::output : Place::arena;
      plan_.slots[i].index = output;
      plan_.slots[i].offset = inner[static_cast<std::size_t>(storage)].offset;
    }
    for (const auto& [planned, block] : workspaces_)
      planned->workspace = inner[static_cast<std::size_t>(block)].offset;
    for (const auto& [planned, block] : stagings_)
      planned->staging = inner[static_cast<std::size_t>(block)].offset;
  }

  // Sets the offsets of the blocks of one arena; its size.
  std::size_t lay_out_side(std::vector<Block>& blocks, bool on_device) const {
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

  const Program& program_;
  Plan& plan_;
  ThreadPool& pool_;
  ops::Facts facts_;
  std::vector<bool> known_shape_;
  std::vector<int> storage_;    // slot to block; -1: not in the arena
  std::vector<int> last_read_;  // by slot: the last step that does, -1 for none
  std::vector<Block> blocks_;
  std::vector<bool> on_device_;  // by block
  std::vector<int> last_read_of_block_;
  std::vector<int> reads_here_;  // by block, of the step that is being placed
  std::size_t largest_ = 0;
  std::vector<int> external_;  // block to the graph output whose memory it is
  std::vector<std::pair<PlannedStep*, int>> workspaces_;
  std::vector<std::pair<PlannedStep*, int>> stagings_;
  std::vector<int> own_block_;  // blocks that a transfer writes: they stay in the arena
  std::unordered_set<int> uploaded_;
};

}  // namespace

Plan make_plan(const Program& program, const std::vector<Shape>& inputs,
               const std::vector<bool>& wanted, ThreadPool& pool) {
  Plan plan;
  plan.wanted = wanted;
  Planner(program, plan, pool).make(inputs);
  return plan;
}

}  // namespace tercel::runtime
