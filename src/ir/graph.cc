#include "src/ir/graph.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "src/base/fail.h"

namespace tercel::ir {

struct Graph::Names {
  std::unordered_set<std::string> taken;
  int64_t next = 0;
};

Graph::Graph(std::string graph_name, Graph* outer)
    : name(std::move(graph_name)), outer_(outer), names_(std::make_unique<Names>()) {}

// Subgraphs go first, while the values of this graph that they use are still there; then the uses
// of values of surrounding graphs are taken back.
Graph::~Graph() {
  for (auto& node : nodes_) node->attributes_.clear();
  for (auto& node : nodes_) {
    for (int i = 0; i < node->num_inputs(); ++i) {
      if (node->input(i) != nullptr && node->input(i)->graph_ != this) node->set_input(i, nullptr);
    }
  }
  for (Value* output : outputs_) {
    if (output->graph_ != this) --output->graph_outputs_;
  }
}

std::vector<Value*> Graph::initializers() const {
  std::vector<Value*> found;
  for (const auto& leaf : leaves_) {
    if (leaf->initializer_.defined()) found.push_back(leaf.get());
  }
  return found;
}

bool Graph::name_taken(std::string_view taken) const {
  for (const Graph* graph = this; graph != nullptr; graph = graph->outer_) {
    if (graph->names_->taken.contains(std::string(taken))) return true;
  }
  return false;
}

std::string Graph::unique_name(std::string_view stem) {
  if (!stem.empty() && !name_taken(stem)) return std::string(stem);
  const std::string prefix = stem.empty() ? "value" : std::string(stem);
  std::string candidate;
  do {
    candidate = prefix + "_" + std::to_string(names_->next++);
  } while (name_taken(candidate));
  return candidate;
}

void Graph::claim(Value& value, std::string wanted) {
  value.name_ = unique_name(wanted);
  names_->taken.insert(value.name_);
}

void Graph::release(Value& value) { names_->taken.erase(value.name_); }

void Graph::rename(Value* value, std::string wanted) {
  release(*value);
  claim(*value, std::move(wanted));
}

Value* Graph::adopt(std::unique_ptr<Value> value) {
  value->graph_ = this;
  leaves_.push_back(std::move(value));
  return leaves_.back().get();
}

Value* Graph::add_input(std::string input, Type type) {
  auto value = std::make_unique<Value>();
  claim(*value, std::move(input));
  value->type = std::move(type);
  value->graph_input_ = true;
  inputs_.push_back(adopt(std::move(value)));
  return inputs_.back();
}

Value* Graph::add_initializer(std::string initializer, Tensor tensor) {
  auto value = std::make_unique<Value>();
  claim(*value, std::move(initializer));
  value->type = Type::tensor(tensor.dtype(), to_dims(tensor.shape()));
  value->initializer_ = std::move(tensor);
  return adopt(std::move(value));
}

void Graph::set_default(Value* input, Tensor tensor) {
  TERCEL_CHECK(input->graph_input_);
  input->initializer_ = std::move(tensor);
}

void Graph::add_output(Value* value) {
  ++value->graph_outputs_;
  outputs_.push_back(value);
}

void Graph::set_output(std::size_t index, Value* value) {
  --outputs_[index]->graph_outputs_;
  ++value->graph_outputs_;
  outputs_[index] = value;
}

Node* Graph::add_node(std::string op_type, std::vector<Value*> inputs, std::string domain,
                      Node* before) {
  auto node = std::make_unique<Node>();
  node->graph_ = this;
  node->op_type_ = std::move(op_type);
  node->domain_ = std::move(domain);
  Node* added = node.get();
  added->position_ =
      nodes_.insert(before != nullptr ? before->position_ : nodes_.end(), std::move(node));
  for (std::size_t i = 0; i < inputs.size(); ++i) added->set_input(static_cast<int>(i), inputs[i]);
  return added;
}

void Graph::replace_uses(Value* from, Value* to) {
  const auto uses = from->uses_;
  for (const Use& use : uses) use.node->set_input(use.index, to);
  if (!from->is_graph_output()) return;

  const bool can_take_name =
      to->graph_ == this && to->producer_ != nullptr && !to->is_graph_output();
  Value* output = to;
  if (!can_take_name) {
    Node* identity = add_node("Identity", {to});
    output = identity->add_output({});
    output->type = from->type;
  }
  const std::string kept = from->name_;
  rename(from, kept + "_replaced");
  rename(output, kept);
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i] == from) set_output(i, output);
  }
}

void Graph::erase(Node* node) {
  for (int i = 0; i < node->num_inputs(); ++i) node->set_input(i, nullptr);
  for (int i = 0; i < node->num_outputs(); ++i) node->drop_output(i);
  nodes_.erase(node->position_);
}

void Graph::erase_leaf(Value* value) {
  TERCEL_CHECK(value->uses_.empty() && !value->is_graph_output());
  release(*value);
  std::erase(inputs_, value);
  std::erase_if(leaves_, [&](const auto& leaf) { return leaf.get() == value; });
}

void Graph::move_before(Node* node, Node* before) {
  nodes_.splice(before->position_, nodes_, node->position_);
}

}  // namespace tercel::ir
