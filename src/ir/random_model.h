#pragma once
// Random models for tests: every element type, kind of attribute and type, subgraphs that use
// outer values, functions, names that need quotes.

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "src/ir/model.h"

namespace tercel::ir {

class RandomModel {
 public:
  explicit RandomModel(uint32_t seed) : random_(seed) {}

  std::unique_ptr<Model> make() {
    auto model = std::make_unique<Model>();
    model->opsets = {{"", kOpset}, {"my.domain", 3}, {"functions", 1}};
    model->producer_version = word();
    model->doc = word();
    model->metadata = {{"key", word()}, {word(), ""}};
    model->graph.name = word();
    model->graph.doc = word();
    fill(model->graph, 2);
    auto function = std::make_unique<Function>();
    function->domain = "functions";
    function->name = "f";
    function->overload = up_to(2) == 0 ? "" : "second";
    function->attributes = {"alpha"};
    function->defaults.push_back({"beta", 1.5F, {}, 0, {}});
    function->opsets = {{"", kOpset}};
    function->doc = word();
    Value* x = function->body.add_input("x", {});
    Node* node = function->body.add_node("Elu", {x});
    node->add_attribute({"alpha", {}, "alpha", 1, {}});
    function->body.add_output(node->add_output("y"));
    model->functions.push_back(std::move(function));
    return model;
  }

  Tensor tensor(Dtype dtype) {
    Shape shape;
    for (int axis = up_to(3); axis > 0; --axis) shape.push_back(up_to(4));
    Tensor made(dtype, shape);
    if (dtype == Dtype::string) {
      for (auto& value : made.strings()) value = word();
      return made;
    }
    auto* bytes = static_cast<uint8_t*>(made.data());
    for (std::size_t i = 0; i < made.bytes(); ++i) {
      // No NaN: their payloads have no text.
      bytes[i] = static_cast<uint8_t>(dtype == Dtype::boolean ? up_to(1) : up_to(0x7e));
    }
    return made;
  }

  Type type(int depth = 2) {
    switch (depth > 0 ? up_to(6) : 0) {
      case 1:
        return {Type::Kind::sequence, {}, {}, std::make_shared<Type>(type(depth - 1))};
      case 2:
        return {Type::Kind::optional, {}, {}, std::make_shared<Type>(type(depth - 1))};
      case 3:
        return {Type::Kind::map, Dtype::i64, {}, std::make_shared<Type>(type(depth - 1))};
      case 4:
        return {Type::Kind::sparse_tensor, dtype(), dims(), nullptr};
      case 5:
        return Type::tensor(dtype());
      default:
        return Type::tensor(dtype(), dims());
    }
  }

 private:
  int up_to(int last) { return std::uniform_int_distribution(0, last)(random_); }
  Dtype dtype() { return static_cast<Dtype>(1 + up_to(27)); }

  std::string word() {
    static constexpr const char* kWords[] = {"a",  "x_1", "encoder.0/attn", "float", "say \"hi\"",
                                             "\\", "nan", "größe",          "seq",   "line\nbreak"};
    return std::string(kWords[up_to(9)]) + std::to_string(up_to(999));
  }

  Dims dims() {
    Dims made;
    for (int axis = up_to(3); axis > 0; --axis) {
      const int kind = up_to(2);
      made.push_back(kind == 0 ? Dim() : kind == 1 ? Dim(word()) : Dim(up_to(9)));
    }
    return made;
  }

  void fill(Graph& graph, int depth) {
    std::vector<Value*> values;
    for (const Graph* outer = graph.outer(); outer != nullptr; outer = outer->outer()) {
      for (Value* input : outer->inputs()) values.push_back(input);
    }
    for (int i = up_to(3); i >= 0; --i) {
      const Tensor value = tensor(dtype());
      Value* input = graph.add_input(word(), Type::tensor(value.dtype(), to_dims(value.shape())));
      if (up_to(2) == 0) graph.set_default(input, value);
      if (up_to(2) == 0) input->doc = word();
      values.push_back(input);
    }
    for (int i = up_to(3); i > 0; --i) {
      values.push_back(graph.add_initializer(word(), tensor(dtype())));
    }
    for (int i = up_to(12); i >= 0; --i) {
      Node* node = add_node(graph, values);
      for (int k = up_to(4); k > 0; --k) node->set_attribute(word(), data(graph, depth));
      for (int k = up_to(2); k >= 0; --k) {
        if (k > 0 && up_to(3) == 0) {
          node->add_missing_output();
          continue;
        }
        Value* output = node->add_output(word());
        if (up_to(1) == 0) output->type = type();
        if (up_to(4) == 0) output->metadata = {{word(), word()}};
        values.push_back(output);
      }
    }
    for (int i = up_to(2); i >= 0; --i) {
      Value* value = values.back();
      values.pop_back();
      if (&value->graph() == &graph) graph.add_output(value);
    }
  }

  Node* add_node(Graph& graph, const std::vector<Value*>& values) {
    std::vector<Value*> inputs;
    for (int k = up_to(4); k > 0; --k) {
      inputs.push_back(
          up_to(5) == 0
              ? nullptr
              : values[static_cast<std::size_t>(up_to(static_cast<int>(values.size()) - 1))]);
    }
    static constexpr const char* kDomains[] = {"", "my.domain", "functions"};
    const char* domain = kDomains[up_to(2)];
    Node* node = graph.add_node(*domain == 'f' ? "f" : "Op", inputs, domain);
    if (up_to(1) == 0) node->name = word();
    if (up_to(3) == 0) node->overload = "second";
    if (up_to(3) == 0) node->doc = word();
    if (up_to(5) == 0) node->metadata = {{word(), word()}};
    return node;
  }

  std::shared_ptr<Graph> subgraph(Graph& outer, int depth) {
    auto graph = std::make_shared<Graph>(word(), &outer);
    fill(*graph, depth - 1);
    return graph;
  }

  template <class F>
  auto list(F&& make) {
    std::vector<decltype(make())> made;
    for (int i = up_to(2); i >= 0; --i) made.push_back(make());
    return made;
  }

  Attribute::Data data(Graph& graph, int depth) {
    switch (up_to(11)) {
      case 0:
        return static_cast<float>(up_to(1000)) / 7.0F - 60.0F;
      case 1:
        return int64_t{up_to(1 << 30)} * (up_to(1) == 0 ? 1 : -(int64_t{1} << 32));
      case 2:
        return word();
      case 3:
        return type();
      case 4:
        return list([&] { return static_cast<float>(up_to(9)); });
      case 5:
        return list([&] { return int64_t{up_to(9)} - 5; });
      case 6:
        return list([&] { return word(); });
      case 7:
        return list([&] { return tensor(dtype()); });
      case 8:
        return list([&] { return type(); });
      case 9:
        if (depth > 0) return subgraph(graph, depth);
        break;
      case 10:
        if (depth > 0) return list([&] { return subgraph(graph, depth); });
        break;
      default:
        break;
    }
    return tensor(dtype());
  }

  std::mt19937 random_;
};

}  // namespace tercel::ir
