#include <limits>

#include "src/ops/contents.h"
#include "src/ops/math/math.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kAlpha[] = {{"alpha", AttributeKind::number}};
constexpr AttributeDef kAlphaBeta[] = {{"alpha", AttributeKind::number},
                                       {"beta", AttributeKind::number}};
constexpr AttributeDef kAlphaGamma[] = {{"alpha", AttributeKind::number},
                                        {"gamma", AttributeKind::number}};
constexpr AttributeDef kShrink[] = {{"bias", AttributeKind::number},
                                    {"lambd", AttributeKind::number}};
constexpr AttributeDef kApproximate[] = {{"approximate", AttributeKind::string}};

constexpr OpDef unary(std::string_view name, int since, int compatible_since,
                      std::span<const AttributeDef> attributes = {},
                      void (*infer)(InferContext&) = infer_same_type) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = 1,
          .max_inputs = 1,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = attributes,
          .infer = infer};
}

void infer_neg(InferContext& context) {
  infer_same_type(context);
  follow_unary(context, [](const Known& x) {
    return x.is_number() && x.number() != std::numeric_limits<int64_t>::min() ? Known(-x.number())
                                                                              : Known();
  });
}

void infer_abs(InferContext& context) {
  infer_same_type(context);
  follow_unary(context, [](const Known& x) {
    if (!x.is_number()) return Known();
    return x.number() != std::numeric_limits<int64_t>::min() ? Known(std::abs(x.number()))
                                                             : Known();
  });
}

void infer_gelu(InferContext& context) {
  const std::string approximate = context.node().string_or("approximate", "none");
  if (approximate != "none" && approximate != "tanh") {
    context.reject("approximate is \"{}\"; expected \"none\" or \"tanh\"", approximate);
  }
  infer_same_type(context);
}

}  // namespace

constinit const OpDef op_abs = unary("Abs", 13, 6, {}, infer_abs);
constinit const OpDef op_acos = unary("Acos", 22, 7);
constinit const OpDef op_acosh = unary("Acosh", 22, 9);
constinit const OpDef op_asin = unary("Asin", 22, 7);
constinit const OpDef op_asinh = unary("Asinh", 22, 9);
constinit const OpDef op_atan = unary("Atan", 22, 7);
constinit const OpDef op_atanh = unary("Atanh", 22, 9);
constinit const OpDef op_bitwise_not = unary("BitwiseNot", 18, 18);
constinit const OpDef op_ceil = unary("Ceil", 13, 6);
constinit const OpDef op_celu = unary("Celu", 28, 12, kAlpha);
constinit const OpDef op_cos = unary("Cos", 22, 7);
constinit const OpDef op_cosh = unary("Cosh", 22, 9);
constinit const OpDef op_elu = unary("Elu", 22, 6, kAlpha);
constinit const OpDef op_erf = unary("Erf", 13, 9);
constinit const OpDef op_exp = unary("Exp", 13, 6);
constinit const OpDef op_floor = unary("Floor", 13, 6);
constinit const OpDef op_gelu = unary("Gelu", 20, 20, kApproximate, infer_gelu);
constinit const OpDef op_hard_sigmoid = unary("HardSigmoid", 22, 6, kAlphaBeta);
constinit const OpDef op_hard_swish = unary("HardSwish", 22, 14);
constinit const OpDef op_leaky_relu = unary("LeakyRelu", 16, 6, kAlpha);
constinit const OpDef op_log = unary("Log", 13, 6);
constinit const OpDef op_mish = unary("Mish", 22, 18);
constinit const OpDef op_neg = unary("Neg", 13, 6, {}, infer_neg);
constinit const OpDef op_reciprocal = unary("Reciprocal", 13, 6);
constinit const OpDef op_relu = unary("Relu", 14, 6);
constinit const OpDef op_round = unary("Round", 22, 11);
constinit const OpDef op_selu = unary("Selu", 22, 6, kAlphaGamma);
constinit const OpDef op_shrink = unary("Shrink", 9, 9, kShrink);
constinit const OpDef op_sigmoid = unary("Sigmoid", 13, 6);
constinit const OpDef op_sign = unary("Sign", 13, 9);
constinit const OpDef op_sin = unary("Sin", 22, 7);
constinit const OpDef op_sinh = unary("Sinh", 22, 9);
constinit const OpDef op_softplus = unary("Softplus", 22, 1);
constinit const OpDef op_softsign = unary("Softsign", 22, 1);
constinit const OpDef op_sqrt = unary("Sqrt", 13, 6);
constinit const OpDef op_swish = unary("Swish", 24, 24, kAlpha);
constinit const OpDef op_tan = unary("Tan", 22, 7);
constinit const OpDef op_tanh = unary("Tanh", 13, 6);
constinit const OpDef op_thresholded_relu = unary("ThresholdedRelu", 22, 10, kAlpha);

}  // namespace tercel::ops
