#include <algorithm>
#include <cmath>
#include <limits>

#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

// A scale and a zero point, constants; the zero point is made where it is left out.
struct Linear {
  ir::Value* scale;
  ir::Value* zero;
};

bool is_byte(Dtype dtype) { return dtype == Dtype::i8 || dtype == Dtype::u8; }

bool is_constant_of(const ir::Value* value, Dtype dtype) {
  return value != nullptr && value->is_constant() && value->initializer().dtype() == dtype;
}

bool is_one_or(const ir::Value& constant, int64_t count) {
  return constant.initializer().size() == 1 || constant.initializer().size() == count;
}

// One for all, or one for each of `channels`; what a node has of a type of bytes.
bool is_linear(const ir::Node& node, Dtype bytes, int64_t channels) {
  if (!is_byte(bytes) || node.int_or("block_size", 0) != 0) return false;
  const auto fits = [&](const ir::Value* value, Dtype dtype) {
    return is_constant_of(value, dtype) && is_one_or(*value, channels);
  };
  return fits(node.input(1), Dtype::f32) &&
         (node.input(2) == nullptr || fits(node.input(2), bytes));
}

// The DequantizeLinear of 8-bit integers, with one scale for all, that makes `value`.
ir::Node* dequantized_image(const ir::Value* value, const ops::Facts& facts) {
  ir::Node* node = made_by(value, "DequantizeLinear");
  return node != nullptr && is_linear(*node, dtype_of(node->input(0), facts), 1) ? node : nullptr;
}

ir::Node* dequantized_weight(const ir::Value* value) {
  ir::Node* node = made_by(value, "DequantizeLinear");
  if (node == nullptr || node->input(0) == nullptr || !node->input(0)->is_constant())
    return nullptr;
  const Tensor& weight = node->input(0)->initializer();
  if (weight.rank() < 3 || weight.size() == 0) return nullptr;
  if (!is_linear(*node, weight.dtype(), weight.shape()[0])) return nullptr;
  const int64_t axis = node->int_or("axis", 1);
  const bool by_channel = axis == 0 || axis == -weight.rank();
  return by_channel || node->input(1)->initializer().size() == 1 ? node : nullptr;
}

// Tools write zero points of biases, which are 0.
bool is_zero(const ir::Value* value) {
  if (value == nullptr) return true;
  if (!is_constant_of(value, Dtype::i32)) return false;
  const auto values = value->initializer().values<int32_t>();
  return std::all_of(values.begin(), values.end(), [](int32_t zero) { return zero == 0; });
}

class Fusing {
 public:
  Fusing(ir::Node& quantize, const ops::Facts& facts)
      : quantize_(quantize), facts_(facts), b_(quantize.graph(), &quantize) {}

  bool run() {
    const Dtype dtype = dtype_of(quantize_.output(), facts_);
    if (!is_linear(quantize_, dtype, 1)) return false;
    ir::Node* conv = conv_behind(dtype);
    if (conv == nullptr || conv->int_or("group", 1) != 1) return false;
    const ir::Node* x = dequantized_image(conv->input(0), facts_);
    const ir::Node* w = dequantized_weight(conv->input(1));
    if (x == nullptr || w == nullptr) return false;
    Tensor bias;
    if (conv->input(2) != nullptr) {
      bias = bias_of(*conv->input(2), *x, *w);
      if (!bias.defined()) return false;
    }
    const Linear of_x = linear(*x, dtype_of(x->input(0), facts_));
    const Linear of_w = linear(*w, w->input(0)->initializer().dtype());
    const Linear of_y = linear(quantize_, dtype);
    std::vector<ir::Value*> inputs{x->input(0), of_x.scale, of_x.zero,  w->input(0),
                                   of_w.scale,  of_w.zero,  of_y.scale, of_y.zero};
    if (bias.defined()) inputs.push_back(b_.constant(std::move(bias)));
    std::vector<ir::Builder::Attr> attributes;
    for (const ir::Attribute& attribute : conv->attributes())
      attributes.push_back({attribute.name, attribute.data});
    take_over(quantize_.output(), b_.op("QLinearConv", std::move(inputs), std::move(attributes)));
    return true;
  }

 private:
  // Also behind a Relu, where nothing below zero has a byte.
  ir::Node* conv_behind(Dtype dtype) const {
    const ir::Value* value = quantize_.input(0);
    const ir::Node* relu = made_by(value, "Relu");
    if (relu != nullptr && used_once(value)) {
      const double lowest = dtype == Dtype::u8 ? 0 : -128;
      const double zero = quantize_.input(2) == nullptr ? 0 : *scalar_of(quantize_.input(2));
      if (zero != lowest) return nullptr;
      value = relu->input(0);
    }
    return used_once(value) ? made_by(value, "Conv") : nullptr;
  }

  Linear linear(const ir::Node& node, Dtype dtype) {
    if (node.input(2) != nullptr) return {node.input(1), node.input(2)};
    return {node.input(1), dtype == Dtype::u8 ? b_.constant(Tensor::scalar(uint8_t{0}))
                                              : b_.constant(Tensor::scalar(int8_t{0}))};
  }

  // As integers with the scale of the sums, which is that of tools; undefined where there is none.
  static Tensor bias_of(const ir::Value& bias, const ir::Node& x, const ir::Node& w) {
    const ir::Node* node = made_by(&bias, "DequantizeLinear");
    const bool stored = node != nullptr && is_constant_of(node->input(0), Dtype::i32) &&
                        is_constant_of(node->input(1), Dtype::f32) && is_zero(node->input(2));
    if (!stored && !is_constant_of(&bias, Dtype::f32)) return {};
    const Tensor& from = stored ? node->input(0)->initializer() : bias.initializer();
    const auto channels = static_cast<std::size_t>(w.input(0)->initializer().shape()[0]);
    if (from.rank() != 1 || from.size() != static_cast<int64_t>(channels)) return {};
    if (stored && !is_one_or(*node->input(1), from.size())) return {};
    const double x_scale = *scalar_of(x.input(1));
    const auto at = [](const Tensor& tensor, std::size_t i) {
      return static_cast<double>(tensor.values<float>()[tensor.size() == 1 ? 0 : i]);
    };
    Tensor result(Dtype::i32, from.shape());
    for (std::size_t c = 0; c < channels; ++c) {
      const double value =
          stored ? from.values<int32_t>()[c] * at(node->input(1)->initializer(), c) : at(from, c);
      const double steps = std::nearbyint(value / (x_scale * at(w.input(1)->initializer(), c)));
      if (!(std::abs(steps) <= 0x1p30)) return {};
      result.values<int32_t>()[c] = static_cast<int32_t>(steps);
    }
    return result;
  }

  ir::Node& quantize_;
  const ops::Facts& facts_;
  ir::Builder b_;
};

}  // namespace

bool fuse_qlinear_conv(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph.nodes()) {
      if (node->is("QuantizeLinear") && !node->output()->uses().empty())
        nodes.push_back(node.get());
    }
    for (ir::Node* node : nodes) changed |= Fusing(*node, *facts).run();
  });
  return changed;
}

}  // namespace tercel::passes
