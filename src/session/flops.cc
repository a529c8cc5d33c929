#include "src/session/flops.h"

#include <algorithm>

namespace tercel {
namespace {

std::optional<Shape> shape_of(const ir::Value* value, const ops::Facts& facts) {
  const ir::Type* type = value != nullptr ? facts.type(value) : nullptr;
  return type != nullptr ? type->shape() : std::nullopt;
}

double elements(const Shape& shape) {
  double count = 1;
  for (const int64_t dim : shape) count *= static_cast<double>(dim);
  return count;
}

double product_flops(const ir::Node& node, const ops::Facts& facts) {
  const auto a = shape_of(node.input(0), facts);
  const auto y = shape_of(node.output(), facts);
  if (!a || !y || a->empty()) return 0;
  const bool transposed = node.is("Gemm") && node.int_or("transA", 0) != 0;
  return 2 * elements(*y) * static_cast<double>(transposed ? a->front() : a->back());
}

double convolution_flops(const ir::Node& node, const ops::Facts& facts) {
  const auto weight = shape_of(node.input(1), facts);
  const auto y = shape_of(node.output(), facts);
  if (!weight || !y || weight->empty() || weight->front() == 0) return 0;
  return 2 * elements(*y) * elements(*weight) / static_cast<double>(weight->front());
}

// Query times key, and weights times value: each batch x heads x queries x keys x head size.
double attention_flops(const ir::Node& node, const ops::Facts& facts) {
  const auto query = shape_of(node.input(0), facts);
  const auto key = shape_of(node.input(1), facts);
  const auto value = shape_of(node.input(2), facts);
  if (!query || !key || !value || query->size() < 3 || value->size() != query->size()) return 0;
  const double keys = static_cast<double>((*key)[key->size() - 2]);
  const double heads = static_cast<double>(node.int_or("q_num_heads", 1));
  const double kv_heads = std::max(1.0, static_cast<double>(node.int_or("kv_num_heads", 1)));
  const double widths = query->size() == 4
                            ? static_cast<double>(value->back()) /
                                  static_cast<double>(std::max<int64_t>(1, query->back()))
                            : static_cast<double>(value->back()) / kv_heads * heads /
                                  static_cast<double>(std::max<int64_t>(1, query->back()));
  return 2 * elements(*query) * keys * (1 + widths);
}

}  // namespace

double count_flops(const ir::Node& node, const ops::Facts& facts) {
  if (node.is("MatMul") || node.is("Gemm")) return product_flops(node, facts);
  if (node.is("Conv")) return convolution_flops(node, facts);
  if (node.is("Attention")) return attention_flops(node, facts);
  return 0;
}

double count_flops(const ir::Graph& graph, const ops::Facts& facts) {
  double flops = 0;
  for (const auto& node : graph.nodes()) flops += count_flops(*node, facts);
  return flops;
}

}  // namespace tercel
