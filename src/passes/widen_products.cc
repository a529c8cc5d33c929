#include "src/passes/linear_bytes.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

// Where the inputs of both operators stand.
constexpr int kX = 0, kXScale = 1, kXZero = 2, kW = 3, kWScale = 4, kWZero = 5, kYScale = 6,
              kYZero = 7, kBias = 8;

class Widening {
 public:
  Widening(ir::Node& node, const ops::Facts& facts)
      : node_(node), facts_(facts), b_(node.graph(), &node), conv_(node.is("QLinearConv")) {}

  bool run() {
    if (is_of_bytes() || !has_plain_scales()) return false;
    std::vector<ir::Value*> inputs{real(kX, node_.input(kXScale), node_.input(kXZero)),
                                   real(kW, node_.input(kWScale), node_.input(kWZero))};
    if (node_.input(kBias) != nullptr) {
      ir::Value* scale = b_.mul(node_.input(kXScale), node_.input(kWScale));
      inputs.push_back(real(kBias, scale, nullptr));
    }
    ir::Node* product = b_.node(conv_ ? "Conv" : "MatMul", std::move(inputs), 1);
    for (const ir::Attribute& attribute : std::as_const(node_).attributes())
      product->add_attribute(attribute);
    take_over(node_.output(), b_.op("QuantizeLinear", {product->output(), node_.input(kYScale),
                                                       node_.input(kYZero)}));
    return true;
  }

 private:
  // Those that are packed once and multiplied as bytes.
  bool is_of_bytes() const {
    const ir::Value& weight = *node_.input(kW);
    if (!weight.is_constant()) return false;
    const Tensor& values = weight.initializer();
    return conv_ ? is_conv_of_bytes(node_, values.shape()) : values.rank() == 2;
  }

  // One scale and zero point for all, or of a convolution's weight one for each channel.
  bool has_plain_scales() const {
    const auto count = [&](int index) {
      const ir::Type* type = facts_.type(node_.input(index));
      const auto shape = type != nullptr ? type->shape() : std::nullopt;
      return shape ? element_count(*shape) : -1;
    };
    const bool by_channel = conv_ && count(kWScale) > 0 && count(kWScale) == count(kWZero);
    return count(kXScale) == 1 && count(kXZero) == 1 &&
           (by_channel || (count(kWScale) == 1 && count(kWZero) == 1));
  }

  ir::Value* real(int index, ir::Value* scale, ir::Value* zero) {
    return b_.op("DequantizeLinear", {node_.input(index), scale, zero}, {{"axis", int64_t{0}}});
  }

  ir::Node& node_;
  const ops::Facts& facts_;
  ir::Builder b_;
  bool conv_;
};

}  // namespace

bool widen_products(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    std::vector<ir::Node*> products;
    for (const auto& node : graph.nodes()) {
      const bool product = node->is("QLinearConv") || node->is("QLinearMatMul");
      if (product && is_used(node->output())) products.push_back(node.get());
    }
    for (ir::Node* node : products) changed |= Widening(*node, *facts).run();
  });
  return changed;
}

}  // namespace tercel::passes
