#include "src/session/cut_model.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "src/ops/op_def.h"

namespace tercel {
namespace {

class Cutter {
 public:
  Cutter(const ir::Model& model, const ops::Facts& facts, const StageOfNode& stages,
         std::span<const Dtype> kept)
      : model_(model), graph_(model.graph), facts_(facts), kept_(kept), parts_(kept.size()) {
    for (const auto& [node, stage] : stages)
      if (!only_says_shapes(*node)) owner_.emplace(node, stage);
  }

  std::vector<StageModel> cut() {
    for (std::size_t i = 0; i < graph_.outputs().size(); ++i) {
      const ir::Value* output = graph_.outputs()[i];
      parts_[owner_of(*output).value_or(parts_.size() - 1)].give(output, output_index(i));
    }
    for (std::size_t stage = parts_.size(); stage-- > 0;) find_needs(stage);
    std::vector<StageModel> models;
    for (std::size_t stage = 0; stage < parts_.size(); ++stage) models.push_back(build(stage));
    return models;
  }

 private:
  struct Part {
    std::vector<const ir::Node*> nodes;             // in reverse
    std::map<std::size_t, const ir::Value*> needs;  // by their id
    std::vector<std::pair<const ir::Value*, std::size_t>> gives;

    void give(const ir::Value* value, std::size_t index) {
      gives.emplace_back(value, index);
      needs.emplace(value->id(), value);
    }
  };

  // It takes next to nothing, and where shapes are known the plan knows them, too.
  bool only_says_shapes(const ir::Node& node) const {
    const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
    if (def == nullptr || !def->deterministic) return false;
    for (int i = 0; i < node.num_outputs(); ++i) {
      if (node.output(i) != nullptr && facts_.contents(node.output(i)) == nullptr) return false;
    }
    return true;
  }

  // Nothing for what every stage makes or has for itself.
  std::optional<std::size_t> owner_of(const ir::Value& value) const {
    const auto found = owner_.find(value.producer());
    return found != owner_.end() ? std::optional(found->second) : std::nullopt;
  }

  std::size_t output_index(std::size_t output) const { return graph_.inputs().size() + output; }

  std::size_t input_index(const ir::Value* value) const {
    const auto inputs = graph_.inputs();
    return static_cast<std::size_t>(std::find(inputs.begin(), inputs.end(), value) -
                                    inputs.begin());
  }

  // From the outputs back to what earlier stages have to give.
  void find_needs(std::size_t stage) {
    Part& part = parts_[stage];
    for (auto node = graph_.nodes().rbegin(); node != graph_.nodes().rend(); ++node) {
      const auto owner = owner_.find(node->get());
      if (owner != owner_.end() ? owner->second != stage : !is_needed(part, **node)) continue;
      part.nodes.push_back(node->get());
      for (const ir::Value* value : (*node)->reads()) part.needs.emplace(value->id(), value);
    }
    for (const auto& [id, value] : part.needs) {
      const auto owner = owner_of(*value);
      if (!owner || *owner == stage || crossing_.contains(value)) continue;
      crossing_.emplace(value, output_index(graph_.outputs().size()) + crossing_.size());
      parts_[*owner].give(value, crossing_.at(value));
    }
  }

  static bool is_needed(const Part& part, const ir::Node& node) {
    for (int i = 0; i < node.num_outputs(); ++i) {
      if (node.output(i) != nullptr && part.needs.contains(node.output(i)->id())) return true;
    }
    return false;
  }

  StageModel build(std::size_t stage) const {
    const Part& part = parts_[stage];
    StageModel built;
    built.model = std::make_unique<ir::Model>();
    built.model->opsets = model_.opsets;
    ir::Graph& graph = built.model->graph;
    graph.name = graph_.name;
    std::unordered_map<const ir::Value*, ir::Value*> map;
    const auto add_input = [&](const ir::Value* value, ir::Type type, std::size_t index) {
      map[value] = graph.add_input(value->name(), std::move(type));
      if (value->initializer().defined()) graph.set_default(map[value], value->initializer());
      built.inputs.push_back(index);
    };
    if (stage == 0) {
      for (const ir::Value* input : graph_.inputs())
        add_input(input, input->type, input_index(input));
    }
    for (const auto& [id, value] : part.needs) {
      const auto owner = owner_of(*value);
      if (value->is_graph_input()) {
        if (stage > 0) add_input(value, value->type, input_index(value));
      } else if (value->producer() == nullptr) {
        map[value] = graph.add_initializer(value->name(), value->initializer());
      } else if (owner && *owner != stage) {
        ir::Type type = type_of(value);
        const Dtype own = std::exchange(type.dtype, travels_as(value, *owner));
        add_input(value, type, crossing_.at(value));
        if (type.dtype != own) map[value] = add_cast(graph, map[value], own);
      }
    }
    for (auto node = part.nodes.rbegin(); node != part.nodes.rend(); ++node)
      graph.add_copy(**node, map);
    for (const auto& [value, index] : part.gives) {
      const bool crosses = crossing_.contains(value) && crossing_.at(value) == index;
      const Dtype travels = crosses ? travels_as(value, stage) : type_of(value).dtype;
      const bool casts = travels != type_of(value).dtype;
      graph.add_output(casts ? add_cast(graph, map.at(value), travels) : map.at(value));
      built.outputs.push_back(index);
    }
    return built;
  }

  ir::Type type_of(const ir::Value* value) const {
    const ir::Type* type = facts_.type(value);
    return type != nullptr ? *type : value->type;
  }

  Dtype travels_as(const ir::Value* value, std::size_t from) const {
    const ir::Type type = type_of(value);
    const bool held = type.kind == ir::Type::Kind::tensor && type.dtype == Dtype::f32;
    return held ? kept_[from] : type.dtype;
  }

  static ir::Value* add_cast(ir::Graph& graph, ir::Value* value, Dtype to) {
    ir::Node* cast = graph.add_node("Cast", {value});
    cast->set_attribute("to", static_cast<int64_t>(to));
    ir::Value* output = cast->add_output("");
    output->type = value->type;
    output->type.dtype = to;
    return output;
  }

  const ir::Model& model_;
  const ir::Graph& graph_;
  const ops::Facts& facts_;
  std::span<const Dtype> kept_;
  StageOfNode owner_;
  std::vector<Part> parts_;
  std::unordered_map<const ir::Value*, std::size_t> crossing_;
};

}  // namespace

std::vector<StageModel> cut_model(const ir::Model& model, const ops::Facts& facts,
                                  const StageOfNode& stages, std::span<const Dtype> kept) {
  return Cutter(model, facts, stages, kept).cut();
}

}  // namespace tercel
