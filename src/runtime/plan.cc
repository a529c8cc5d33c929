#include "src/runtime/plan.h"

#include <algorithm>
#include <unordered_set>

#include "src/runtime/places.h"

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
    Places(program_, plan_, known_shape_, pool_).place();
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
    for (int i = 0; i < program_.num_slots(); ++i) {
      const ir::Type* type = facts_.type(program_.value(i));
      if (type == nullptr) continue;
      slot(i).on_device = program_.on_device(i);
      slot(i).dtype = type->dtype;
      if (slot(i).on_device)
        slot(i).dtype = program_.accelerator()->kept_as(type->dtype);
      else if (program_.rounded(i))
        slot(i).dtype = Dtype::bf16;
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
      plan_.steps.push_back({.step = *step, .is_view = (*step)->is_view()});
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
    if (!uploaded_.empty()) program_.accelerator()->uploads().wait();
  }

  const Program& program_;
  Plan& plan_;
  ThreadPool& pool_;
  ops::Facts facts_;
  std::vector<bool> known_shape_;  // by slot
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
