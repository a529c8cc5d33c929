#include <algorithm>
#include <cmath>
#include <limits>

#include "src/passes/linear_bytes.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

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
    const auto result = quantized_result(quantize_, facts_);
    if (!result || !used_once(result->value)) return false;
    const ir::Node* conv = made_by(result->value, "Conv");
    if (conv == nullptr) return false;
    const ir::Node* x = dequantized_bytes(conv->input(0), facts_);
    const ir::Node* w = dequantized_weight(conv->input(1));
    if (x == nullptr || w == nullptr) return false;
    if (!is_conv_of_bytes(*conv, w->input(0)->initializer().shape())) return false;
    Tensor bias;
    if (conv->input(2) != nullptr) {
      bias = bias_of(*conv->input(2), *x, *w);
      if (!bias.defined()) return false;
    }
    const Linear of_x = linear_of(*x, dtype_of(x->input(0), facts_), b_);
    const Linear of_w = linear_of(*w, w->input(0)->initializer().dtype(), b_);
    const Linear of_y = linear_of(quantize_, dtype_of(quantize_.output(), facts_), b_);
    std::vector<ir::Value*> inputs{x->input(0), of_x.scale, of_x.zero,  w->input(0),
                                   of_w.scale,  of_w.zero,  of_y.scale, of_y.zero};
    if (bias.defined()) inputs.push_back(b_.constant(std::move(bias)));
    std::vector<ir::Builder::Attr> attributes;
    for (const ir::Attribute& attribute : conv->attributes())
      attributes.push_back({attribute.name, attribute.data});
    ir::Value* bytes = b_.op("QLinearConv", std::move(inputs), std::move(attributes));
    put_bytes(quantize_, bytes, *result, of_y, b_);
    return true;
  }

 private:
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
  return rewrite_quantizing(model, context, [](ir::Node& quantize, const ops::Facts& facts) {
    return Fusing(quantize, facts).run();
  });
}

}  // namespace tercel::passes
