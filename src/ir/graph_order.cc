// Sorting and copying of graphs: both walk nodes and the values that subgraphs take from outside.

#include <functional>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "src/base/fail.h"
#include "src/ir/graph.h"

namespace tercel::ir {
namespace {

void visit_subgraphs(const Node& node, const std::function<void(const Graph&)>& visit) {
  for (const Attribute& attribute : node.attributes()) {
    if (const auto* graph = std::get_if<std::shared_ptr<Graph>>(&attribute.data)) visit(**graph);
    if (const auto* graphs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute.data)) {
      for (const auto& graph : *graphs) visit(*graph);
    }
  }
}

// Producers in `graph` of the values that `node` and its subgraphs read.
void collect_producers(const Graph& graph, const Node& node,
                       std::unordered_set<const Node*>& producers) {
  const auto add = [&](const Value* value) {
    if (value != nullptr && &value->graph() == &graph && value->producer() != nullptr) {
      producers.insert(value->producer());
    }
  };
  for (const Value* input : node.inputs()) add(input);
  visit_subgraphs(node, [&](const Graph& sub) {
    for (const auto& inner : sub.nodes()) collect_producers(graph, *inner, producers);
    for (const Value* output : sub.outputs()) add(output);
  });
}

using ValueMap = std::unordered_map<const Value*, Value*>;

Value* mapped(const ValueMap& map, Value* value) {
  const auto found = map.find(value);
  return found != map.end() ? found->second : value;
}

void copy_description(const Value& from, Value& to) {
  to.type = from.type;
  to.doc = from.doc;
  to.metadata = from.metadata;
}

void clone_graph(const Graph& from, Graph& to, ValueMap& map);

Attribute clone_attribute(const Attribute& attribute, Graph& outer, ValueMap& map) {
  Attribute copy = attribute;
  const auto clone = [&](std::shared_ptr<Graph>& graph) {
    auto target = std::make_shared<Graph>(graph->name, &outer);
    clone_graph(*graph, *target, map);
    graph = std::move(target);
  };
  if (auto* graph = std::get_if<std::shared_ptr<Graph>>(&copy.data)) clone(*graph);
  if (auto* graphs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&copy.data)) {
    for (auto& graph : *graphs) clone(graph);
  }
  return copy;
}

void clone_node(const Node& node, Graph& to, ValueMap& map) {
  std::vector<Value*> inputs;
  for (Value* input : node.inputs()) inputs.push_back(mapped(map, input));
  Node* copy = to.add_node(node.op_type(), std::move(inputs), node.domain());
  copy->name = node.name;
  copy->overload = node.overload;
  copy->doc = node.doc;
  copy->metadata = node.metadata;
  for (const Attribute& attribute : node.attributes()) {
    copy->add_attribute(clone_attribute(attribute, to, map));
  }
  for (int i = 0; i < node.num_outputs(); ++i) {
    if (const Value* output = node.output(i); output != nullptr) {
      Value* added = copy->add_output(output->name());
      copy_description(*output, *added);
      map[output] = added;
    } else {
      copy->add_missing_output();
    }
  }
}

void clone_graph(const Graph& from, Graph& to, ValueMap& map) {
  to.name = from.name;
  to.doc = from.doc;
  to.metadata = from.metadata;
  for (const Value* input : from.inputs()) {
    Value* added = to.add_input(input->name(), input->type);
    copy_description(*input, *added);
    if (input->initializer().defined()) to.set_default(added, input->initializer());
    map[input] = added;
  }
  for (const Value* initializer : from.initializers()) {
    if (initializer->is_graph_input()) continue;
    Value* added = to.add_initializer(initializer->name(), initializer->initializer());
    copy_description(*initializer, *added);
    map[initializer] = added;
  }
  for (const auto& node : from.nodes()) clone_node(*node, to, map);
  for (Value* output : from.outputs()) to.add_output(mapped(map, output));
}

}  // namespace

Node* Graph::sort() {
  std::unordered_map<const Node*, int64_t> waiting;  // producers not yet placed
  std::unordered_map<const Node*, std::vector<Node*>> consumers;
  std::unordered_map<const Node*, int64_t> rank;  // the order before, kept where it is free
  int64_t count = 0;
  for (const auto& node : nodes_) {
    rank[node.get()] = count++;
    std::unordered_set<const Node*> producers;
    collect_producers(*this, *node, producers);
    waiting[node.get()] = static_cast<int64_t>(producers.size());
    for (const Node* producer : producers) consumers[producer].push_back(node.get());
  }
  const auto later = [&](const Node* a, const Node* b) { return rank.at(a) > rank.at(b); };
  std::priority_queue<Node*, std::vector<Node*>, decltype(later)> ready(later);
  for (const auto& node : nodes_) {
    if (waiting.at(node.get()) == 0) ready.push(node.get());
  }
  Nodes sorted;
  while (!ready.empty()) {
    Node* node = ready.top();
    ready.pop();
    sorted.splice(sorted.end(), nodes_, node->position_);
    for (Node* consumer : consumers[node]) {
      if (--waiting.at(consumer) == 0) ready.push(consumer);
    }
  }
  Node* stuck = nodes_.empty() ? nullptr : nodes_.front().get();
  sorted.splice(sorted.end(), nodes_);
  nodes_ = std::move(sorted);
  return stuck;
}

void Graph::clone_into(Graph& target) const {
  ValueMap map;
  clone_graph(*this, target, map);
}

}  // namespace tercel::ir
