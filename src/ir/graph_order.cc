// Sorting and copying of graphs: both walk nodes and the values that subgraphs take from outside.

#include <functional>
#include <numeric>
#include <queue>
#include <unordered_map>
#include <unordered_set>
#include <vector>

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

// Calls `take` with the producer in `graph` of every value that `node` and its subgraphs read.
template <class Take>
void for_each_producer(const Graph& graph, const Node& node, const Take& take) {
  const auto add = [&](const Value* value) {
    if (value != nullptr && &value->graph() == &graph && value->producer() != nullptr) {
      take(value->producer());
    }
  };
  for (const Value* input : node.inputs()) add(input);
  visit_subgraphs(node, [&](const Graph& sub) {
    for (const auto& inner : sub.nodes()) for_each_producer(graph, *inner, take);
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
  to.quantization = from.quantization;
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

Node* clone_node(const Node& node, Graph& to, ValueMap& map) {
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
  return copy;
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
  std::vector<Node*> nodes;
  nodes.reserve(nodes_.size());
  for (const auto& node : nodes_) {
    node->rank_ = static_cast<int64_t>(nodes.size());
    nodes.push_back(node.get());
  }
  bool sorted = true;
  std::vector<int64_t> waiting(nodes.size(), 0);  // inputs whose producers are not yet placed
  std::vector<std::size_t> begin(nodes.size() + 1, 0);
  for (Node* node : nodes) {
    for_each_producer(*this, *node, [&](const Node* producer) {
      sorted = sorted && producer->rank_ < node->rank_;
      ++waiting[static_cast<std::size_t>(node->rank_)];
      ++begin[static_cast<std::size_t>(producer->rank_) + 1];
    });
  }
  if (sorted) return nullptr;

  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<int64_t> consumers(begin.back());
  std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
  for (Node* node : nodes) {
    for_each_producer(*this, *node, [&](const Node* producer) {
      consumers[next[static_cast<std::size_t>(producer->rank_)]++] = node->rank_;
    });
  }
  // By rank: the order before is kept where it is free.
  std::priority_queue<int64_t, std::vector<int64_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (waiting[i] == 0) ready.push(static_cast<int64_t>(i));
  }
  Nodes placed;
  while (!ready.empty()) {
    const auto rank = static_cast<std::size_t>(ready.top());
    ready.pop();
    placed.splice(placed.end(), nodes_, nodes[rank]->position_);
    for (std::size_t i = begin[rank]; i < begin[rank + 1]; ++i) {
      if (--waiting[static_cast<std::size_t>(consumers[i])] == 0) ready.push(consumers[i]);
    }
  }
  Node* stuck = nodes_.empty() ? nullptr : nodes_.front().get();
  placed.splice(placed.end(), nodes_);
  nodes_ = std::move(placed);
  // Each stuck node waits for another: going back, the first seen twice is on a cycle.
  std::vector<bool> seen(nodes.size(), false);
  while (stuck != nullptr && !seen[static_cast<std::size_t>(stuck->rank_)]) {
    seen[static_cast<std::size_t>(stuck->rank_)] = true;
    std::size_t next_rank = 0;
    for_each_producer(*this, *stuck, [&](const Node* producer) {
      const auto rank = static_cast<std::size_t>(producer->rank_);
      if (waiting[rank] > 0) next_rank = rank;
    });
    stuck = nodes[next_rank];
  }
  return stuck;
}

void Graph::clone_into(Graph& target, ValueMap replaced) const {
  clone_graph(*this, target, replaced);
}

Node* Graph::add_copy(const Node& node, ValueMap& map) { return clone_node(node, *this, map); }

std::vector<Value*> Node::reads() const {
  std::vector<Value*> values;
  for (Value* input : inputs_) {
    if (input != nullptr) values.push_back(input);
  }
  visit_subgraphs(*this, [&](const Graph& sub) {
    const auto captured = sub.captured();
    values.insert(values.end(), captured.begin(), captured.end());
  });
  return values;
}

std::vector<Value*> Graph::captured() const {
  std::vector<Value*> found;
  std::unordered_set<const Value*> seen;
  const auto inside = [this](const Graph* graph) {
    while (graph != nullptr && graph != this) graph = graph->outer();
    return graph == this;
  };
  const auto add = [&](Value* value) {
    if (value != nullptr && !inside(&value->graph()) && seen.insert(value).second)
      found.push_back(value);
  };
  std::vector<const Graph*> waiting{this};
  while (!waiting.empty()) {
    const Graph* graph = waiting.back();
    waiting.pop_back();
    for (const auto& node : graph->nodes_) {
      for (Value* input : node->inputs()) add(input);
      visit_subgraphs(*node, [&](const Graph& sub) { waiting.push_back(&sub); });
    }
    for (Value* output : graph->outputs_) add(output);
  }
  return found;
}

}  // namespace tercel::ir
