#pragma once
// Writing a graph in code: `auto y = b.add(b.matmul(x, w), bias)`. Model builders and tests use it.

#include <initializer_list>
#include <string>
#include <vector>

#include "src/ir/model.h"

namespace tercel::ir {

class Builder {
 public:
  // Nodes go to the end of `graph`, or before `before`.
  explicit Builder(Graph& graph, Node* before = nullptr) : graph_(graph), before_(before) {}

  struct Attr {
    std::string name;
    Attribute::Data data;
  };

  // One node with one output. Null inputs are left out. `name` names the node, and its output when
  // free.
  Value* op(std::string op_type, std::vector<Value*> inputs, std::vector<Attr> attributes = {},
            std::string domain = {});
  // One node with several outputs.
  Node* node(std::string op_type, std::vector<Value*> inputs, int outputs,
             std::vector<Attr> attributes = {}, std::string domain = {});

  Value* constant(Tensor tensor, std::string name = {});
  Value* scalar(float value) { return constant(Tensor::scalar(value)); }
  Value* int_scalar(int64_t value) { return constant(Tensor::scalar(value)); }
  Value* ints(std::vector<int64_t> values);  // an int64 vector

  Value* add(Value* a, Value* b) { return op("Add", {a, b}); }
  Value* sub(Value* a, Value* b) { return op("Sub", {a, b}); }
  Value* mul(Value* a, Value* b) { return op("Mul", {a, b}); }
  Value* div(Value* a, Value* b) { return op("Div", {a, b}); }
  Value* matmul(Value* a, Value* b) { return op("MatMul", {a, b}); }
  Value* cast(Value* x, Dtype to);
  Value* transpose(Value* x, std::vector<int64_t> perm);
  Value* reshape(Value* x, std::vector<int64_t> shape);
  Value* unsqueeze(Value* x, std::vector<int64_t> axes);

  // Prefix of the names of the nodes made from here on: "encoder.layer.0/".
  void set_scope(std::string scope) { scope_ = std::move(scope); }

 private:
  Graph& graph_;
  Node* before_;
  std::string scope_;
};

}  // namespace tercel::ir
