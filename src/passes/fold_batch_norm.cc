#include <cmath>

#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

bool is_constant_f32(const ir::Value* value) {
  return value != nullptr && value->is_constant() && value->initializer().dtype() == Dtype::f32;
}

// One for each of `channels`.
bool is_vector(const ir::Value* value, int64_t channels) {
  return is_constant_f32(value) && value->initializer().shape() == Shape{channels};
}

// In training the statistics are those of the batch.
bool is_inference(const ir::Node& norm) {
  return norm.int_or("training_mode", 0) == 0 && norm.num_outputs() == 1;
}

bool fold(ir::Node& norm) {
  ir::Node* conv = made_by(norm.input(0), "Conv");
  if (conv == nullptr || !used_once(conv->output()) || !is_inference(norm)) return false;
  if (!is_constant_f32(conv->input(1)) || conv->input(1)->initializer().rank() < 3) return false;
  const Tensor& weight = conv->input(1)->initializer();
  const int64_t channels = weight.shape()[0];
  for (int i = 1; i <= 4; ++i) {
    if (!is_vector(norm.input(i), channels)) return false;
  }
  if (conv->input(2) != nullptr && !is_vector(conv->input(2), channels)) return false;
  if (channels == 0) return false;

  const auto vector = [&](int i) { return norm.input(i)->initializer().values<float>(); };
  const auto scale = vector(1);
  const auto shift = vector(2);
  const auto mean = vector(3);
  const auto variance = vector(4);
  const double epsilon = static_cast<double>(norm.float_or("epsilon", 1e-5F));
  Tensor folded(Dtype::f32, weight.shape());
  Tensor bias(Dtype::f32, {channels});
  const auto from = weight.values<float>();
  const auto to = folded.values<float>();
  const auto row = from.size() / static_cast<std::size_t>(channels);
  for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
    const double factor =
        static_cast<double>(scale[c]) / std::sqrt(static_cast<double>(variance[c]) + epsilon);
    for (std::size_t i = c * row; i < (c + 1) * row; ++i)
      to[i] = static_cast<float>(static_cast<double>(from[i]) * factor);
    const double before =
        conv->input(2) == nullptr
            ? 0
            : static_cast<double>(conv->input(2)->initializer().values<float>()[c]);
    bias.values<float>()[c] = static_cast<float>((before - static_cast<double>(mean[c])) * factor +
                                                 static_cast<double>(shift[c]));
  }
  ir::Builder b(norm.output()->graph(), &norm);
  std::vector<ir::Builder::Attr> attributes;
  for (const ir::Attribute& attribute : conv->attributes())
    attributes.push_back({attribute.name, attribute.data});
  take_over(
      norm.output(),
      b.op("Conv", {conv->input(0), b.constant(std::move(folded)), b.constant(std::move(bias))},
           std::move(attributes)));
  return true;
}

}  // namespace

bool fold_batch_norm(ir::Model& model, const PassContext&) {
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (node->is("BatchNormalization") && !node->output()->uses().empty()) changed |= fold(*node);
    }
  });
  return changed;
}

}  // namespace tercel::passes
