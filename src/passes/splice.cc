#include "src/passes/splice.h"

#include "src/base/fail.h"
#include "src/passes/match.h"

namespace tercel::passes {
namespace {

ir::Value* mapped(const ValueMap& map, ir::Value* value) {
  const auto found = map.find(value);
  return found != map.end() ? found->second : value;
}

// What a reference to a function's attribute stands for; null when the call leaves it out.
const ir::Attribute* resolve(const std::string& ref, const SpliceOptions& options) {
  if (options.call == nullptr) return nullptr;
  if (const ir::Attribute* given = options.call->find_attribute(ref)) return given;
  for (const ir::Attribute& fallback : options.function->defaults) {
    if (fallback.name == ref) return &fallback;
  }
  return nullptr;
}

int64_t bytes_of(const ir::Attribute& attribute) {
  constexpr std::size_t kAttribute = 200;
  const auto bytes = std::visit(
      [](const auto& data) -> std::size_t {
        using T = std::decay_t<decltype(data)>;
        if constexpr (std::is_same_v<T, std::string>) return data.size();
        if constexpr (std::is_same_v<T, std::vector<float>> ||
                      std::is_same_v<T, std::vector<int64_t>> ||
                      std::is_same_v<T, std::vector<Tensor>>) {
          return data.size() * sizeof(data[0]);
        }
        std::size_t all = 0;
        if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          for (const std::string& text : data) all += sizeof(text) + text.size();
        }
        return all;
      },
      attribute.data);
  return static_cast<int64_t>(kAttribute + attribute.name.size() + attribute.doc.size() + bytes);
}

// A short function with a long attribute, called often, may not fill the memory.
void charge(const ir::Node& copy, const SpliceOptions& options) {
  if (options.bytes == nullptr) return;
  std::size_t text = copy.name.size() + copy.overload.size() + copy.doc.size();
  for (const auto& [key, value] : copy.metadata) text += key.size() + value.size();
  for (int i = 0; i < copy.num_outputs(); ++i) {
    if (copy.output(i) != nullptr) text += copy.output(i)->name().size();
  }
  *options.bytes -= static_cast<int64_t>(text);
  for (const ir::Attribute& attribute : copy.attributes()) *options.bytes -= bytes_of(attribute);
  if (*options.bytes < 0) {
    fail(Errc::invalid_file,
         "{} the names and attributes of the functions that are expanded take too much memory",
         options.call->label());
  }
}

void resolve_references(ir::Node& node, const SpliceOptions& options) {
  std::vector<std::string> left_out;
  for (ir::Attribute& attribute : node.attributes()) {
    if (attribute.ref.empty() || options.call == nullptr) continue;
    if (const ir::Attribute* value = resolve(attribute.ref, options)) {
      if (std::holds_alternative<std::shared_ptr<ir::Graph>>(value->data) ||
          std::holds_alternative<std::vector<std::shared_ptr<ir::Graph>>>(value->data)) {
        fail(Errc::unsupported,
             "{} hands its function a graph as \"{}\"; only values can be handed",
             options.call->label(), value->name);
      }
      attribute.data = value->data;
      attribute.ref = value->ref;  // set when the call is itself in a function
      attribute.ref_type = value->ref_type;
    } else {
      left_out.push_back(attribute.name);
    }
  }
  for (const std::string& name : left_out) node.remove_attribute(name);
}

// A subgraph copied by clone_into still uses the values that `map` replaces.
void remap(ir::Graph& graph, const ValueMap& map, const SpliceOptions& options) {
  for (const auto& node : graph.nodes()) {
    for (int i = 0; i < node->num_inputs(); ++i) {
      if (node->input(i) != nullptr) node->set_input(i, mapped(map, node->input(i)));
    }
    resolve_references(*node, options);
    charge(*node, options);
    for_each_subgraph(*node, [&](ir::Graph& inner) { remap(inner, map, options); });
  }
  for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
    ir::Value* output = graph.outputs()[i];
    if (ir::Value* other = mapped(map, output); other != output) graph.set_output(i, other);
  }
}

void copy_subgraphs(ir::Attribute& attribute, ir::Graph& target, const ValueMap& map,
                    const SpliceOptions& options) {
  const auto copy = [&](std::shared_ptr<ir::Graph>& graph) {
    auto fresh = std::make_shared<ir::Graph>(graph->name, &target);
    graph->clone_into(*fresh);
    remap(*fresh, map, options);
    graph = std::move(fresh);
  };
  if (auto* graph = std::get_if<std::shared_ptr<ir::Graph>>(&attribute.data)) copy(*graph);
  if (auto* graphs = std::get_if<std::vector<std::shared_ptr<ir::Graph>>>(&attribute.data))
    for (auto& graph : *graphs) copy(graph);
}

ir::Node* copy_node(const ir::Node& node, ir::Node* before, ValueMap& map,
                    const SpliceOptions& options) {
  ir::Graph& target = before->graph();
  std::vector<ir::Value*> inputs;
  for (ir::Value* input : node.inputs()) inputs.push_back(mapped(map, input));
  ir::Node* copy = target.add_node(node.op_type(), std::move(inputs), node.domain(), before);
  if (!node.name.empty()) copy->name = options.scope + node.name;
  copy->overload = node.overload;
  copy->doc = node.doc;
  copy->metadata = node.metadata;
  for (const ir::Attribute& attribute : node.attributes()) copy->add_attribute(attribute);
  resolve_references(*copy, options);
  for (ir::Attribute& attribute : copy->attributes())
    copy_subgraphs(attribute, target, map, options);
  for (int i = 0; i < node.num_outputs(); ++i) {
    const ir::Value* output = node.output(i);
    if (output == nullptr) {
      copy->add_missing_output();
      continue;
    }
    ir::Value* added = copy->add_output(options.scope + output->name());
    added->type = output->type;
    map[output] = added;
  }
  charge(*copy, options);
  return copy;
}

}  // namespace

std::vector<ir::Node*> splice(const ir::Graph& from, ir::Node* before, ValueMap& map,
                              const SpliceOptions& given) {
  constexpr std::size_t kLongestScope = 200;  // names within names would grow without end
  SpliceOptions options = given;
  if (options.scope.size() > kLongestScope) options.scope.clear();
  for (const ir::Value* initializer : from.initializers()) {
    if (initializer->is_graph_input()) continue;
    map[initializer] = before->graph().add_initializer(options.scope + initializer->name(),
                                                       initializer->initializer());
  }
  std::vector<ir::Node*> nodes;
  for (const auto& node : from.nodes()) nodes.push_back(copy_node(*node, before, map, options));
  return nodes;
}

}  // namespace tercel::passes
