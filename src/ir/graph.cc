#include "src/ir/graph.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "src/base/fail.h"

namespace tercel::ir {

struct Graph::Names {
  std::unordered_set<std::string_view> taken;      // they lie in the values
  std::unordered_map<std::string, int64_t> inner;  // at the top: how often in all subgraphs
  std::size_t values = 0;                          // at the top: made so far
  bool has_subgraphs = false;
  int64_t next = 0;
  std::shared_ptr<Names> top;  // null at the top
};

Graph::Graph(std::string graph_name, Graph* outer)
    : name(std::move(graph_name)), outer_(outer), names_(std::make_shared<Names>()) {
  if (outer == nullptr) return;
  outer->names_->has_subgraphs = true;
  names_->top = outer->names_->top != nullptr ? outer->names_->top : outer->names_;
}

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
  if (names_->top == nullptr) return;
  for (const std::string_view taken : names_->taken) forget_inner(std::string(taken));
}

void Graph::forget_inner(const std::string& taken) {
  auto& inner = names_->top->inner;
  if (const auto found = inner.find(taken); --found->second == 0) inner.erase(found);
}

std::vector<Value*> Graph::initializers() const {
  std::vector<Value*> found;
  for (const auto& leaf : leaves_) {
    if (leaf->initializer_.defined()) found.push_back(leaf.get());
  }
  return found;
}

// A graph that has subgraphs also avoids their names: it would shadow them. Which subgraph has a
// name is not kept, so names of subgraphs elsewhere are avoided as well.
bool Graph::name_taken(std::string_view taken) const {
  for (const Graph* graph = this; graph != nullptr; graph = graph->outer_) {
    if (graph->names_->taken.contains(taken)) return true;
  }
  const Names& top = names_->top != nullptr ? *names_->top : *names_;
  return names_->has_subgraphs && top.inner.contains(std::string(taken));
}

std::unique_ptr<Value> Graph::new_value(std::string wanted) {
  auto value = std::make_unique<Value>();
  value->graph_ = this;
  value->id_ = (names_->top != nullptr ? names_->top : names_)->values++;
  claim(*value, std::move(wanted));
  return value;
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
  if (names_->top != nullptr) ++names_->top->inner[value.name_];
}

void Graph::release(Value& value) {
  if (names_->taken.erase(value.name_) > 0 && names_->top != nullptr) forget_inner(value.name_);
}

void Graph::rename(Value* value, std::string wanted) {
  release(*value);
  claim(*value, std::move(wanted));
}

Value* Graph::adopt(std::unique_ptr<Value> value) {
  leaves_.push_back(std::move(value));
  leaves_.back()->leaf_ = std::prev(leaves_.end());
  return leaves_.back().get();
}

Value* Graph::add_input(std::string input, Type type) {
  auto value = new_value(std::move(input));
  value->type = std::move(type);
  value->graph_input_ = true;
  inputs_.push_back(adopt(std::move(value)));
  return inputs_.back();
}

Value* Graph::add_initializer(std::string initializer, Tensor tensor) {
  auto value = new_value(std::move(initializer));
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
  if (value->graph_input_) std::erase(inputs_, value);
  leaves_.erase(value->leaf_);
}

void Graph::move_before(Node* node, Node* before) {
  nodes_.splice(before->position_, nodes_, node->position_);
}

}  // namespace tercel::ir
