#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kLayerNormalizationAttributes[] = {{"axis", AttributeKind::integer},
                                                          {"epsilon", AttributeKind::number},
                                                          {"stash_type", AttributeKind::integer}};

// Scale and bias broadcast to the normalised dimensions; the output keeps input 0's shape.
void check_operand(InferContext& context, int index) {
  const ir::Dims* x = context.dims(0);
  const ir::Dims* operand = context.dims(index);
  if (x == nullptr || operand == nullptr) return;
  const ir::Dims both = broadcast(context, *x, *operand);
  bool fits = both.size() == x->size();
  for (std::size_t i = 0; fits && i < both.size(); ++i)
    fits = !both[i].known() || !(*x)[i].known() || both[i].value() == (*x)[i].value();
  if (!fits) {
    context.reject("input {} of shape {} cannot be broadcast to {}", index, ir::to_string(*operand),
                   ir::to_string(*x));
  }
}

Dtype stash_dtype(InferContext& context) {
  const int64_t stash = context.node().int_or("stash_type", 1);
  if (stash != 1 && stash != static_cast<int64_t>(Dtype::bf16) &&
      stash != static_cast<int64_t>(Dtype::f16) && stash != static_cast<int64_t>(Dtype::f64))
    context.reject("stash_type is {}; expected 1 (float) or another floating-point type", stash);
  return static_cast<Dtype>(stash);
}

void infer_layer(InferContext& context) {
  require_same_dtype(context, 0, 1);
  require_same_dtype(context, 0, 2);
  check_operand(context, 1);
  if (context.has_input(2)) check_operand(context, 2);
  infer_same_type(context);
  const Dtype stash = stash_dtype(context);
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(1, stash);
    context.set_output(2, stash);
    return;
  }
  ir::Dims statistics = *x;
  const int axis =
      context.axis(context.node().int_or("axis", -1), static_cast<int>(statistics.size()));
  for (auto i = static_cast<std::size_t>(axis); i < statistics.size(); ++i) statistics[i] = 1;
  context.set_output(1, stash, statistics);
  context.set_output(2, stash, statistics);
}

// The output has the scale's element type.
void infer_rms(InferContext& context) {
  check_operand(context, 1);
  stash_dtype(context);
  if (const auto rank = context.rank(0)) context.axis(context.node().int_or("axis", -1), *rank);
  if (const ir::Dims* x = context.dims(0))
    context.set_output(0, context.dtype(1), *x);
  else
    context.set_output(0, context.dtype(1));
}

}  // namespace

constinit const OpDef layer_normalization{.name = "LayerNormalization",
                                          .since = 17,
                                          .compatible_since = 17,
                                          .min_inputs = 2,
                                          .max_inputs = 3,
                                          .min_outputs = 1,
                                          .max_outputs = 3,
                                          .attributes = kLayerNormalizationAttributes,
                                          .infer = infer_layer};

constinit const OpDef rms_normalization{.name = "RMSNormalization",
                                        .since = 23,
                                        .compatible_since = 23,
                                        .min_inputs = 2,
                                        .max_inputs = 2,
                                        .min_outputs = 1,
                                        .max_outputs = 1,
                                        .attributes = kLayerNormalizationAttributes,
                                        .infer = infer_rms};

}  // namespace tercel::ops
