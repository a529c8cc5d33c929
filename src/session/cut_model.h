#pragma once
// A model as several, one after the other: each computes some of the nodes, and hands on what
// later ones read.

#include <cstddef>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "src/ops/infer.h"

namespace tercel {

struct StageModel {
  std::unique_ptr<ir::Model> model;
  // What its graph reads and gives, in a list of values that all stages share: the inputs of the
  // whole model, then its outputs, then what goes from one stage to later ones.
  std::vector<std::size_t> inputs;
  std::vector<std::size_t> outputs;
};

using StageOfNode = std::unordered_map<const ir::Node*, std::size_t>;

// `stages`: of the nodes, in whose order they never fall; each of `kept` has one at least.
// `kept`: what each stage holds f32 as, and so what an f32 value of it travels as, with a Cast on
// either side.
// A node without a stage, or one that only says shapes, is computed in each stage that needs it.
// The first stage has all inputs of the model, in their order. Tensors share their elements.
// `facts`: of the graph with the symbols of its inputs.
std::vector<StageModel> cut_model(const ir::Model& model, const ops::Facts& facts,
                                  const StageOfNode& stages, std::span<const Dtype> kept);

}  // namespace tercel
