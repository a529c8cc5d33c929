#include <algorithm>

#include "src/base/fail.h"
#include "src/ir/graph.h"
#include "src/ir/place.h"

namespace tercel::ir {
namespace {

template <class T>
const T* data_of(const Node& node, std::string_view name, std::string_view kind) {
  const Attribute* attribute = node.find_attribute(name);
  if (attribute == nullptr || !attribute->ref.empty()) return nullptr;
  const T* value = std::get_if<T>(&attribute->data);
  if (value == nullptr) {
    fail(Errc::invalid_file, "{} attribute \"{}\": expected {}", node.label(), name, kind);
  }
  return value;
}

}  // namespace

void Node::set_input(int index, Value* value) {
  const auto at = static_cast<std::size_t>(index);
  if (at >= inputs_.size()) {
    inputs_.resize(at + 1, nullptr);
    slots_.resize(at + 1, 0);
  }
  if (Value* old = inputs_[at]; old != nullptr) {
    // The last use takes the place of the one removed: a weight may have 10^5 uses.
    const Use moved = old->uses_.back();
    moved.node->slots_[static_cast<std::size_t>(moved.index)] = slots_[at];
    old->uses_[slots_[at]] = moved;
    old->uses_.pop_back();
  }
  inputs_[at] = value;
  if (value != nullptr) {
    slots_[at] = value->uses_.size();
    value->uses_.push_back({this, index});
  }
}

void Node::remove_trailing_inputs() {
  while (!inputs_.empty() && inputs_.back() == nullptr) inputs_.pop_back();
  slots_.resize(inputs_.size());
}

Value* Node::add_output(std::string name) {
  auto value = graph_->new_value(std::move(name));
  value->producer_ = this;
  value->output_index_ = num_outputs();
  outputs_.push_back(std::move(value));
  return outputs_.back().get();
}

void Node::add_missing_output() { outputs_.push_back(nullptr); }

void Node::drop_output(int index) {
  auto& output = outputs_[static_cast<std::size_t>(index)];
  if (output == nullptr) return;
  TERCEL_CHECK(output->uses_.empty() && !output->is_graph_output());
  graph_->release(*output);
  output.reset();
}

const Attribute* Node::find_attribute(std::string_view attribute) const {
  for (const Attribute& candidate : attributes_) {
    if (candidate.name == attribute) return &candidate;
  }
  return nullptr;
}

void Node::set_attribute(std::string attribute, Attribute::Data data) {
  remove_attribute(attribute);
  attributes_.push_back({std::move(attribute), std::move(data), {}, 0, {}});
}

void Node::add_attribute(Attribute attribute) { attributes_.push_back(std::move(attribute)); }

void Node::remove_attribute(std::string_view attribute) {
  std::erase_if(attributes_,
                [&](const Attribute& candidate) { return candidate.name == attribute; });
}

int64_t Node::int_or(std::string_view attribute, int64_t otherwise) const {
  const auto* value = data_of<int64_t>(*this, attribute, "an integer");
  return value != nullptr ? *value : otherwise;
}

float Node::float_or(std::string_view attribute, float otherwise) const {
  const auto* value = data_of<float>(*this, attribute, "a number");
  return value != nullptr ? *value : otherwise;
}

std::string Node::string_or(std::string_view attribute, std::string_view otherwise) const {
  const auto* value = data_of<std::string>(*this, attribute, "a string");
  return value != nullptr ? *value : std::string(otherwise);
}

std::vector<int64_t> Node::ints_or(std::string_view attribute,
                                   std::vector<int64_t> otherwise) const {
  const auto* value = data_of<std::vector<int64_t>>(*this, attribute, "a list of integers");
  return value != nullptr ? *value : std::move(otherwise);
}

Graph* Node::subgraph(std::string_view attribute) const {
  const auto* value = data_of<std::shared_ptr<Graph>>(*this, attribute, "a graph");
  return value != nullptr ? value->get() : nullptr;
}

std::string Node::label() const {
  std::string text = "[";
  if (!domain_.empty()) text += shown(domain_) + ".";
  text += shown(op_type_);
  const Value* first = output(0);
  const std::string& own = !name.empty() || first == nullptr ? name : first->name();
  if (!own.empty()) text += " \"" + shown(own) + "\"";
  return text + "]";
}

void fail_at(const Node& node, const Error& error) {
  const std::string label = node.label();
  const std::string_view message = error.what();
  const bool of_the_run =
      error.code() == Errc::cancelled || error.code() == Errc::deadline_exceeded;
  if (of_the_run || message.starts_with(label)) throw error;
  fail(error.code(), "{} {}", label, message);
}

}  // namespace tercel::ir
