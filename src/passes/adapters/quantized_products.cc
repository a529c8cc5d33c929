// Products of com.microsoft on 8-bit integers: QGemm, which static quantisation writes for Gemm,
// and MatMulIntegerToFloat and DynamicQuantizeMatMul, which ONNX Runtime saves in the place of what
// dynamic quantisation writes.

#include "src/base/fail.h"
#include "src/passes/adapters/quantized_node.h"

namespace tercel::passes {
namespace {

using ops::AttributeKind;

constexpr ops::AttributeDef kGemm[] = {{"alpha", AttributeKind::number},
                                       {"transA", AttributeKind::integer},
                                       {"transB", AttributeKind::integer}};

// A dimension of a matrix where its type says it.
std::optional<int64_t> size_of(const ir::Value* matrix, std::size_t axis) {
  const auto& dims = matrix->type.dims;
  if (!dims || dims->size() != 2 || !(*dims)[axis].known()) return std::nullopt;
  return (*dims)[axis].value();
}

void check_matrix(const ir::Node& node, int index) {
  const ir::Type& type = node.input(index)->type;
  if (!type.has_rank() || type.rank() == 2) return;
  fail(Errc::invalid_file, "{} input {} has rank {}; expected 2", node.label(), index, type.rank());
}

ir::Value* turned(ir::Builder& b, ir::Value* matrix) { return b.transpose(matrix, {1, 0}); }

// Sums of products as real numbers; `bias` is of their scale, or null.
ir::Value* real_product(ir::Builder& b, const Integers& x, const Integers& w, ir::Value* bias) {
  ir::Value* sums = b.op("MatMulInteger", {x.values, w.values, x.zero, w.zero});
  if (bias != nullptr) sums = b.add(sums, bias);
  ir::Value* scale = b.mul(x.scale, w.scale);
  return b.mul(b.cast(sums, Dtype::f32), scale);
}

void replace_by_sum(QuantizedNode& node, ir::Value* product, ir::Value* bias) {
  node.replace(bias != nullptr ? node.b().add(product, bias) : product);
}

struct Gemm {
  Gemm(const Adaptation& adaptation, QuantizedNode& node)
      : from(adaptation),
        x(node.integers(0)),
        turned_w(adaptation.node.int_or("transB", 0) != 0),
        columns(size_of(node.required(3), turned_w ? 0 : 1)),
        w(node.integers(3, columns)),
        bias(adaptation.node.input(6)) {
    for (const int index : {0, 3}) check_matrix(adaptation.node, index);
    if (adaptation.node.int_or("transA", 0) != 0) x.values = turned(node.b(), x.values);
    if (const float alpha = adaptation.node.float_or("alpha", 1); alpha != 1)
      w.scale = node.b().mul(w.scale, adaptation.constant(Tensor::scalar(alpha)));
  }

  // One for each column.
  bool has_plain_bias() const {
    const auto shape = bias->type.shape();
    return columns && shape && !shape->empty() && shape->back() == *columns &&
           element_count(*shape) == *columns;
  }

  ir::Value* real(ir::Builder& b) const {
    return real_product(b, x, {turned_w ? turned(b, w.values) : w.values, w.scale, w.zero}, bias);
  }

  // A convolution of images of one pixel is the product and all that becomes of its sums.
  ir::Value* pixels(QuantizedNode& node, const Integers& y) const {
    ir::Builder& b = node.b();
    const auto image = [&](ir::Value* matrix) {
      return b.op("Unsqueeze", {matrix, from.ints({2, 3})});
    };
    std::vector<ir::Value*> inputs{image(x.values),
                                   x.scale,
                                   node.given(x.zero, x.values),
                                   image(turned_w ? w.values : turned(b, w.values)),
                                   w.scale,
                                   node.given(w.zero, w.values),
                                   y.scale,
                                   node.given(y.zero, x.values)};
    if (bias != nullptr) inputs.push_back(b.op("Reshape", {bias, from.ints({-1})}));
    ir::Value* product = b.op("QLinearConv", std::move(inputs));
    product->producer()->name = from.node.name;
    return b.op("Squeeze", {product, from.ints({2, 3})});
  }

  const Adaptation& from;
  Integers x;
  bool turned_w;  // [N, K]
  std::optional<int64_t> columns;
  Integers w;
  ir::Value* bias;
};

}  // namespace

void adapt_q_gemm(const Adaptation& adaptation) {
  for (const ops::AttributeDef& attribute : kGemm) adaptation.require_value(attribute.name);
  constexpr int kScale = 7;
  QuantizedNode node(adaptation, kScale + 2, kGemm);
  const Gemm gemm(adaptation, node);
  if (adaptation.node.input(kScale) == nullptr) {
    node.replace(gemm.real(node.b()));
  } else if (gemm.bias == nullptr || gemm.has_plain_bias()) {
    node.replace(gemm.pixels(node, {nullptr, node.scale(kScale), node.zero(kScale + 1)}));
  } else {
    node.finish(gemm.real(node.b()), kScale, node.required(0));
  }
}

void adapt_mat_mul_integer_to_float(const Adaptation& adaptation) {
  QuantizedNode node(adaptation, 7, {});
  const auto columns = size_of(node.required(1), 1);
  const Integers x{node.required(0), node.scale(2), node.zero(4)};
  const Integers w{node.required(1), node.scale(3, columns), node.zero(5, columns)};
  replace_by_sum(node, real_product(node.b(), x, w, nullptr), adaptation.node.input(6));
}

void adapt_dynamic_quantize_mat_mul(const Adaptation& adaptation) {
  QuantizedNode node(adaptation, 5, {});
  const auto columns = size_of(node.required(1), 1);
  const Integers w{node.required(1), node.scale(2, columns), node.zero(3, columns)};
  const ir::Node* rounded = node.b().node("DynamicQuantizeLinear", {node.required(0)}, 3);
  const Integers x{rounded->output(0), rounded->output(1), rounded->output(2)};
  replace_by_sum(node, real_product(node.b(), x, w, nullptr), adaptation.node.input(4));
}

}  // namespace tercel::passes
