#include <algorithm>
#include <unordered_map>

#include "src/ops/op_def.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr std::size_t kMaxConstantBytes = 4096;

// Everything that makes two nodes equal, as bytes. Lengths stand before what has one, so that no
// two descriptions run into each other.
class Key {
 public:
  template <class T>
  Key& add(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    text_.append(reinterpret_cast<const char*>(&value),
                 sizeof(T));  // NOLINT(bugprone-sizeof-expression): a pointer is a key itself
    return *this;
  }
  Key& add(const std::string& value) {
    add(value.size());
    text_ += value;
    return *this;
  }
  template <class T>
  Key& add(const std::vector<T>& values) {
    add(values.size());
    for (const T& value : values) add(value);
    return *this;
  }
  bool add(const Tensor& tensor) {
    if (tensor.dtype() == Dtype::string || tensor.bytes() > kMaxConstantBytes) return false;
    add(tensor.dtype()).add(tensor.shape());
    text_.append(static_cast<const char*>(tensor.data()), tensor.bytes());
    return true;
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

// False for attributes that are not compared: graphs, types, large tensors.
bool add_attribute(Key& key, const ir::Attribute& attribute) {
  if (!attribute.ref.empty()) return false;
  key.add(attribute.name).add(attribute.data.index());
  return std::visit(
      [&](const auto& data) -> bool {
        using T = std::decay_t<decltype(data)>;
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, int64_t> ||
                      std::is_same_v<T, std::string> || std::is_same_v<T, std::vector<float>> ||
                      std::is_same_v<T, std::vector<int64_t>> ||
                      std::is_same_v<T, std::vector<std::string>>) {
          key.add(data);
          return true;
        } else if constexpr (std::is_same_v<T, Tensor>) {
          return key.add(data);
        } else {
          return false;
        }
      },
      attribute.data);
}

// An equal node reads the same values, so each has another use.
bool may_have_equals(const ir::Node& node) {
  const auto inputs = node.inputs();
  return std::none_of(inputs.begin(), inputs.end(), [](const ir::Value* input) {
    return input != nullptr && input->uses().size() == 1;
  });
}

std::optional<std::string> key_of(const ir::Node& node) {
  const ops::OpDef* def = ops::find_op(node.domain(), node.op_type());
  if (def == nullptr || !def->deterministic) return std::nullopt;
  Key key;
  key.add(node.domain()).add(node.op_type());
  key.add(node.num_inputs());
  for (const ir::Value* input : node.inputs()) key.add(input);
  key.add(node.num_outputs());
  for (int i = 0; i < node.num_outputs(); ++i) key.add(node.output(i) != nullptr);

  std::vector<const ir::Attribute*> attributes;
  for (const ir::Attribute& attribute : node.attributes()) attributes.push_back(&attribute);
  std::sort(attributes.begin(), attributes.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });
  for (const ir::Attribute* attribute : attributes) {
    if (!add_attribute(key, *attribute)) return std::nullopt;
  }
  return key.take();
}

bool merge_constants(ir::Graph& graph) {
  bool changed = false;
  std::unordered_map<std::string, ir::Value*> first;
  for (ir::Value* constant : graph.initializers()) {
    Key key;
    if (constant->is_graph_input() || constant->uses().empty() || !key.add(constant->initializer()))
      continue;
    const auto [other, added] = first.emplace(key.take(), constant);
    if (!added) changed |= forward(constant, other->second);
  }
  return changed;
}

bool merge_nodes(ir::Graph& graph) {
  bool changed = false;
  std::unordered_map<std::string, const ir::Node*> first;
  for (const auto& node : graph.nodes()) {
    if (!may_have_equals(*node)) continue;
    auto key = key_of(*node);
    if (!key) continue;
    const auto [other, added] = first.emplace(std::move(*key), node.get());
    if (added) continue;
    for (int i = 0; i < node->num_outputs(); ++i) {
      if (node->output(i) != nullptr) changed |= forward(node->output(i), other->second->output(i));
    }
  }
  return changed;
}

}  // namespace

bool eliminate_common(ir::Model& model, const PassContext&) {
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    changed |= merge_constants(graph);
    changed |= merge_nodes(graph);
  });
  return changed;
}

}  // namespace tercel::passes
