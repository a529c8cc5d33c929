#pragma once
// The graph: ONNX's GraphProto, NodeProto and ValueInfoProto as objects that know each other.
//
// Ownership: a Graph owns its nodes, inputs and initializers; a Node owns its outputs and its
// subgraphs. A node of a subgraph may use values of the graphs around it. Values know their uses,
// so that a rewrite is local. Nodes are kept in an order in which each comes after those it depends
// on; who changes the graph keeps that order or calls sort().

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "src/ir/type.h"

namespace tercel::ir {

class Graph;
class Node;

struct Use {
  Node* node;
  int index;  // of the node's input
  bool operator==(const Use&) const = default;
};

// One value: a graph's input, an initializer (a constant), or a node's output.
class Value {
 public:
  const std::string& name() const { return name_; }
  // Counts the values of a graph and its subgraphs in the order in which they were made: an index
  // for tables about all of them. The numbers of erased values are not given again.
  std::size_t id() const { return id_; }
  Graph& graph() const { return *graph_; }
  Node* producer() const { return producer_; }  // null for inputs and initializers
  int output_index() const { return output_index_; }
  std::span<const Use> uses() const { return uses_; }  // in no particular order
  bool is_graph_output() const { return graph_outputs_ > 0; }
  bool is_graph_input() const { return graph_input_; }

  // The constant of an initializer; undefined otherwise. A graph input may have one as its default.
  const Tensor& initializer() const { return initializer_; }
  // Known and the same at every run: an initializer that is not also an input.
  bool is_constant() const { return initializer_.defined() && !graph_input_; }

  Type type;
  std::string doc;
  std::vector<std::pair<std::string, std::string>> metadata;
  // ONNX's quantization_annotation: the role of another value of the graph ("SCALE_TENSOR"), and
  // its name.
  std::vector<std::pair<std::string, std::string>> quantization;

 private:
  friend class Graph;
  friend class Node;
  std::string name_;
  std::size_t id_ = 0;
  Graph* graph_ = nullptr;
  Node* producer_ = nullptr;
  int output_index_ = -1;
  bool graph_input_ = false;
  int graph_outputs_ = 0;
  Tensor initializer_;
  std::vector<Use> uses_;
  std::list<std::unique_ptr<Value>>::iterator leaf_;  // of an input or initializer
};

// One attribute. A copy shares its subgraphs: Graph::clone_into copies them as well. `ref` (inside
// functions only) names the function's attribute to take the value from.
struct Attribute {
  // The order is that of ONNX's AttributeProto kinds; monostate only with `ref`.
  using Data =
      std::variant<std::monostate, float, int64_t, std::string, Tensor, std::shared_ptr<Graph>,
                   Type, std::vector<float>, std::vector<int64_t>, std::vector<std::string>,
                   std::vector<Tensor>, std::vector<std::shared_ptr<Graph>>, std::vector<Type>>;
  std::string name;
  Data data;
  std::string ref;
  int32_t ref_type = 0;  // AttributeProto.AttributeType, with `ref`
  std::string doc;
};

class Node {
 public:
  const std::string& domain() const {
    return domain_;
  }  // "" is ONNX's own ("ai.onnx" is read as "")
  const std::string& op_type() const { return op_type_; }
  bool is(std::string_view op_type) const { return domain_.empty() && op_type_ == op_type; }
  Graph& graph() const { return *graph_; }
  void become(std::string op_type) { op_type_ = std::move(op_type); }  // another operator

  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  int num_outputs() const { return static_cast<int>(outputs_.size()); }
  // Null for an input that is left out, by position or by an empty name.
  Value* input(int index) const {
    return index < num_inputs() ? inputs_[static_cast<std::size_t>(index)] : nullptr;
  }
  // Null for an output that is left out.
  Value* output(int index = 0) const {
    return index < num_outputs() ? outputs_[static_cast<std::size_t>(index)].get() : nullptr;
  }
  std::span<Value* const> inputs() const { return inputs_; }

  void set_input(int index, Value* value);  // grows the list; null leaves the input out
  void remove_trailing_inputs();            // drops nulls at the end
  Value* add_output(std::string name);      // an empty name: made unique
  void add_missing_output();                // a left-out output
  void drop_output(int index);              // leaves an unused output out

  const Attribute* find_attribute(std::string_view name) const;
  std::span<const Attribute> attributes() const { return attributes_; }
  std::span<Attribute> attributes() { return attributes_; }
  void set_attribute(std::string name, Attribute::Data data);
  void add_attribute(Attribute attribute);
  void remove_attribute(std::string_view name);

  // What it and its subgraphs take from the graphs around: its inputs, and what those capture.
  std::vector<Value*> reads() const;

  // Values with a default. Throw Errc::invalid_file when the attribute has another kind.
  int64_t int_or(std::string_view name, int64_t otherwise) const;
  float float_or(std::string_view name, float otherwise) const;
  std::string string_or(std::string_view name, std::string_view otherwise) const;
  std::vector<int64_t> ints_or(std::string_view name, std::vector<int64_t> otherwise) const;
  bool has_attribute(std::string_view name) const { return find_attribute(name) != nullptr; }
  // The graph of an attribute; null when there is none.
  Graph* subgraph(std::string_view name) const;

  // "[Softmax "encoder.3/attn"]", as messages begin.
  std::string label() const;

  std::string name;
  std::string overload;
  std::string doc;
  std::vector<std::pair<std::string, std::string>> metadata;

 private:
  friend class Graph;
  std::string domain_;
  std::string op_type_;
  Graph* graph_ = nullptr;
  std::vector<Value*> inputs_;
  std::vector<std::size_t> slots_;  // of each input's use in Value::uses_
  std::vector<std::unique_ptr<Value>> outputs_;
  std::vector<Attribute> attributes_;
  std::list<std::unique_ptr<Node>>::iterator position_;
  int64_t rank_ = 0;  // scratch of Graph::sort
};

class Graph {
 public:
  using Nodes = std::list<std::unique_ptr<Node>>;

  explicit Graph(std::string graph_name = {}, Graph* outer = nullptr);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  std::string name;
  std::string doc;
  std::vector<std::pair<std::string, std::string>> metadata;

  Graph* outer() const { return outer_; }  // the graph around a subgraph, null at the top
  const Nodes& nodes() const { return nodes_; }
  std::span<Value* const> inputs() const { return inputs_; }
  std::span<Value* const> outputs() const { return outputs_; }
  // All leaves that hold a constant, inputs with a default value among them.
  std::vector<Value*> initializers() const;

  // Names are unique in a graph, those around it, and those within it; an empty or a taken name is
  // replaced by a new one.
  Value* add_input(std::string name, Type type);
  Value* add_initializer(std::string name, Tensor tensor);
  void set_default(Value* input, Tensor tensor);  // gives a graph input a default value
  void add_output(Value* value);
  void set_output(std::size_t index, Value* value);

  // Adds a node without outputs, before `before` (at the end when null).
  Node* add_node(std::string op_type, std::vector<Value*> inputs, std::string domain = {},
                 Node* before = nullptr);

  // Adds a copy of a node of another graph, at the end. `map`: values of this graph for those that
  // the node reads; the copy's outputs are put into it.
  Node* add_copy(const Node& node, std::unordered_map<const Value*, Value*>& map);

  // Every use of `from`, as a graph output too, becomes a use of `to`. A graph output keeps its
  // name: `to` takes it over, or an Identity is put between when `to` has a name of its own to
  // keep.
  void replace_uses(Value* from, Value* to);

  // Lets go of an initializer's elements: it keeps its type, and counts as a constant no more.
  void drop_constant(Value* initializer) { initializer->initializer_ = Tensor(); }

  void erase(Node* node);         // its outputs must have no uses
  void erase_leaf(Value* value);  // an input or initializer without uses
  void move_before(Node* node, Node* before);
  // Topological order, stable. Returns a node on a cycle, or null when there is none.
  Node* sort();

  bool name_taken(std::string_view name) const;
  std::string unique_name(std::string_view stem);
  void rename(Value* value, std::string name);

  // Copies everything into the empty `target`; values of surrounding graphs stay shared unless
  // `replaced` has others for them. Tensors share their elements.
  void clone_into(Graph& target, std::unordered_map<const Value*, Value*> replaced = {}) const;

  // Values of surrounding graphs that this graph and the graphs in it use, each once, in order of
  // use.
  std::vector<Value*> captured() const;

 private:
  friend class Node;
  std::unique_ptr<Value> new_value(std::string wanted);
  Value* adopt(std::unique_ptr<Value> value);
  void claim(Value& value, std::string name);
  void release(Value& value);
  void forget_inner(const std::string& name);

  Graph* outer_;
  std::vector<Value*> inputs_;
  std::vector<Value*> outputs_;
  std::list<std::unique_ptr<Value>> leaves_;
  Nodes nodes_;
  struct Names;
  std::shared_ptr<Names> names_;
};

}  // namespace tercel::ir
