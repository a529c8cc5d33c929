#include "src/ops/op_def.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "src/ops/definitions.h"

namespace tercel::ops {
namespace {

// The version below which a model cannot be stamped: adapters raise older models to it at least.
constexpr int64_t kLowestStamp = 13;

AttributeKind kind_of(const ir::Attribute& attribute) {
  constexpr std::array kKinds{
      AttributeKind::number,  AttributeKind::number,  AttributeKind::integer,
      AttributeKind::string,  AttributeKind::tensor,  AttributeKind::graph,
      AttributeKind::type,    AttributeKind::numbers, AttributeKind::integers,
      AttributeKind::strings, AttributeKind::tensors,
  };
  return attribute.data.index() < kKinds.size() ? kKinds[attribute.data.index()]
                                                : AttributeKind::type;
}

std::string_view kind_name(AttributeKind kind) {
  constexpr std::array<std::string_view, 10> kNames{
      "a number",          "an integer",       "a string",          "a tensor",
      "a graph",           "a type",           "a list of numbers", "a list of integers",
      "a list of strings", "a list of tensors"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string range(int low, int high) {
  if (high == kVariadic) return fmt::format("at least {}", low);
  return low == high ? std::to_string(low) : fmt::format("{} to {}", low, high);
}

using Index = std::unordered_map<std::string_view, std::vector<const OpDef*>>;

const Index& index() {
  static const Index built = [] {
    Index by_name;
    for (const OpDef* def : all_ops()) by_name[def->name].push_back(def);
    return by_name;
  }();
  return built;
}

void lowest_of(const ir::Graph& graph, int64_t& lowest) {
  for (const auto& node : graph.nodes()) {
    if (!node->domain().empty()) continue;
    if (const OpDef* def = find_op({}, node->op_type())) {
      const int version =
          def->version_of != nullptr ? def->version_of(*node) : def->compatible_since;
      lowest = std::max<int64_t>(lowest, version);
    }
    for (const ir::Attribute& attribute : node->attributes()) {
      if (const auto* sub = std::get_if<std::shared_ptr<ir::Graph>>(&attribute.data))
        lowest_of(**sub, lowest);
    }
  }
}

}  // namespace

std::span<const OpDef* const> all_ops() {
  static const std::vector<const OpDef*> all = [] {
    std::vector<const OpDef*> ops;
    for (const auto& family : families()) ops.insert(ops.end(), family.begin(), family.end());
    return ops;
  }();
  return all;
}

const OpDef* find_op(std::string_view domain, std::string_view name) {
  const auto found = index().find(name);
  if (found == index().end()) return nullptr;
  const auto matches = [&](const OpDef* def) { return def->domain == domain; };
  const auto def = std::find_if(found->second.begin(), found->second.end(), matches);
  return def != found->second.end() ? *def : nullptr;
}

void check_node(const ir::Node& node, const OpDef& def) {
  const auto reject = [&](const std::string& what) {
    fail(Errc::invalid_file, "{} {}", node.label(), what);
  };
  const auto present = [](int low, int high, int count) { return count >= low && count <= high; };
  if (!present(def.min_inputs, def.max_inputs, node.num_inputs())) {
    reject(fmt::format("has {} inputs; expected {}", node.num_inputs(),
                       range(def.min_inputs, def.max_inputs)));
  }
  if (!present(def.min_outputs, def.max_outputs, node.num_outputs())) {
    reject(fmt::format("has {} outputs; expected {}", node.num_outputs(),
                       range(def.min_outputs, def.max_outputs)));
  }
  for (int i = 0; i < def.min_inputs; ++i) {
    if (node.input(i) == nullptr) reject(fmt::format("input {} is left out; it is required", i));
  }
  for (const ir::Attribute& attribute : node.attributes()) {
    const auto* known =
        std::find_if(def.attributes.data(), def.attributes.data() + def.attributes.size(),
                     [&](const AttributeDef& a) { return a.name == attribute.name; });
    if (known == def.attributes.data() + def.attributes.size()) {
      reject(
          fmt::format("has an attribute \"{}\" that the operator does not define", attribute.name));
    }
    if (attribute.ref.empty() && kind_of(attribute) != known->kind) {
      reject(fmt::format("attribute \"{}\": expected {}", attribute.name, kind_name(known->kind)));
    }
  }
  for (const AttributeDef& attribute : def.attributes) {
    if (attribute.required && !node.has_attribute(attribute.name)) {
      reject(fmt::format("attribute \"{}\" is missing; it is required", attribute.name));
    }
  }
}

int64_t lowest_opset(const ir::Model& model) {
  int64_t lowest = kLowestStamp;
  lowest_of(model.graph, lowest);
  for (const auto& function : model.functions) lowest_of(function->body, lowest);
  return lowest;
}

}  // namespace tercel::ops
