#include "src/passes/linear_bytes.h"

#include <algorithm>
#include <cmath>

namespace tercel::passes {
namespace {

bool is_byte(Dtype dtype) { return dtype == Dtype::i8 || dtype == Dtype::u8; }

Dtype bytes_of(const ir::Node& node, const ops::Facts& facts) {
  return dtype_of(node.is("QuantizeLinear") ? node.output() : node.input(0), facts);
}

double zero_of(const ir::Node& node) {
  return node.input(2) == nullptr ? 0 : *scalar_of(node.input(2));
}

}  // namespace

bool is_constant_of(const ir::Value* value, Dtype dtype) {
  return value != nullptr && value->is_constant() && value->initializer().dtype() == dtype;
}

bool is_one_or(const ir::Value& constant, int64_t count) {
  return constant.initializer().size() == 1 || constant.initializer().size() == count;
}

bool is_linear(const ir::Node& node, Dtype bytes, int64_t channels) {
  if (!is_byte(bytes) || node.int_or("block_size", 0) != 0) return false;
  const auto fits = [&](const ir::Value* value, Dtype dtype) {
    return is_constant_of(value, dtype) && is_one_or(*value, channels);
  };
  return fits(node.input(1), Dtype::f32) &&
         (node.input(2) == nullptr || fits(node.input(2), bytes));
}

ir::Node* dequantized_bytes(const ir::Value* value, const ops::Facts& facts) {
  ir::Node* node = made_by(value, "DequantizeLinear");
  if (node == nullptr || node->input(0)->is_constant()) return nullptr;
  return is_linear(*node, bytes_of(*node, facts), 1) ? node : nullptr;
}

Linear linear_of(const ir::Node& node, Dtype bytes, ir::Builder& b) {
  if (node.input(2) != nullptr) return {node.input(1), node.input(2)};
  return {node.input(1), bytes == Dtype::u8 ? b.constant(Tensor::scalar(uint8_t{0}))
                                            : b.constant(Tensor::scalar(int8_t{0}))};
}

bool same_linear(const ir::Node& a, const ir::Node& b, const ops::Facts& facts) {
  const Dtype bytes = bytes_of(a, facts);
  if (bytes != bytes_of(b, facts) || !is_linear(a, bytes, 1) || !is_linear(b, bytes, 1))
    return false;
  const double scale = *scalar_of(a.input(1));
  return scale > 0 && scale == *scalar_of(b.input(1)) && zero_of(a) == zero_of(b);
}

bool is_conv_of_bytes(const ir::Node& conv, const Shape& weight) {
  const int64_t groups = conv.int_or("group", 1);
  return groups == 1 || (weight.size() > 2 && weight[0] == groups && weight[1] == 1);
}

bool rewrite_quantizing(ir::Model& model, const PassContext& context,
                        const std::function<bool(ir::Node&, const ops::Facts&)>& rewrite) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph.nodes()) {
      if (node->is("QuantizeLinear") && is_used(node->output())) nodes.push_back(node.get());
    }
    for (ir::Node* node : nodes) changed |= rewrite(*node, *facts);
  });
  return changed;
}

std::optional<QuantizedResult> quantized_result(const ir::Node& quantize, const ops::Facts& facts) {
  if (!is_linear(quantize, bytes_of(quantize, facts), 1) || !(*scalar_of(quantize.input(1)) > 0))
    return std::nullopt;
  const QuantizedResult result{.value = quantize.input(0), .type = facts.type(quantize.output())};
  const ir::Node* clip = made_by(result.value, "Clip");
  const ir::Node* relu = made_by(result.value, "Relu");
  if (!used_once(result.value) || (clip == nullptr && relu == nullptr)) return result;
  QuantizedResult clipped = result;
  clipped.bounded = true;
  clipped.value = result.value->producer()->input(0);
  if (relu != nullptr) {
    clipped.low = 0;
    return clipped;
  }
  for (const auto& [index, bound] : {std::pair{1, &clipped.low}, std::pair{2, &clipped.high}}) {
    if (clip->input(index) == nullptr) continue;
    const auto number = scalar_of(clip->input(index));
    if (!number || std::isnan(*number)) return result;
    *bound = *number;
  }
  return clipped;
}

void put_bytes(ir::Node& quantize, ir::Value* bytes, const QuantizedResult& result,
               const Linear& linear, ir::Builder& b) {
  const bool is_signed = linear.zero->initializer().dtype() == Dtype::i8;
  const double lowest = is_signed ? -128 : 0, highest = is_signed ? 127 : 255;
  // Rounding keeps the order, so that bounds may be rounded by themselves.
  const auto byte_of = [&](double bound) {
    const float steps = static_cast<float>(bound) / static_cast<float>(*scalar_of(linear.scale));
    return std::clamp(std::nearbyint(static_cast<double>(steps)) + *scalar_of(linear.zero), lowest,
                      highest);
  };
  const auto constant = [&](double byte) {
    return b.constant(is_signed ? Tensor::scalar(static_cast<int8_t>(byte))
                                : Tensor::scalar(static_cast<uint8_t>(byte)));
  };
  const double low = byte_of(result.low), high = byte_of(result.high);
  if (low > lowest) bytes = b.op("Max", {bytes, constant(low)});
  if (high < highest) bytes = b.op("Min", {bytes, constant(high)});
  // Those that read them may be rewritten next.
  if (result.type != nullptr) quantize.output()->type = *result.type;
  take_over(quantize.output(), bytes);
}

}  // namespace tercel::passes
