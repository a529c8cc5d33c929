#pragma once
// Weights for graphs written as text: an input whose name is in capitals becomes a constant of f32
// numbers between -1 and 1.

#include <cctype>
#include <random>
#include <utility>
#include <vector>

#include "src/ir/model.h"

namespace tercel {

inline void make_weights(ir::Graph& graph, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  const std::vector<ir::Value*> inputs(graph.inputs().begin(), graph.inputs().end());
  for (ir::Value* input : inputs) {
    if (std::isupper(static_cast<unsigned char>(input->name().front())) == 0) continue;
    Shape shape;
    for (const ir::Dim& dim : *input->type.dims) shape.push_back(dim.value());
    Tensor weight(Dtype::f32, shape);
    for (float& element : weight.values<float>()) element = uniform(random);
    ir::Value* constant = graph.add_initializer(input->name() + "_constant", std::move(weight));
    graph.replace_uses(input, constant);
    graph.erase_leaf(input);
  }
}

}  // namespace tercel
