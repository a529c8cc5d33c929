// LinearAttention and CausalConvWithState: the two halves of a recurrent token mixer.
#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kLinearAttention[] = {{"chunk_size", AttributeKind::integer},
                                             {"kv_num_heads", AttributeKind::integer, true},
                                             {"q_num_heads", AttributeKind::integer, true},
                                             {"scale", AttributeKind::number},
                                             {"update_rule", AttributeKind::string}};
constexpr AttributeDef kLinearAttentionConv[] = {{"activation", AttributeKind::string}};

void expect_rank_linear_attention(const InferContext& context, int index, int wanted) {
  const auto rank = context.rank(index);
  if (rank && *rank != wanted)
    context.reject("input {} has rank {}; expected {}", index, *rank, wanted);
}

ir::Dim dim_of(const InferContext& context, int index, std::size_t axis) {
  const ir::Dims* dims = context.dims(index);
  return dims != nullptr ? (*dims)[axis] : ir::Dim();
}

void check_rule(const InferContext& context) {
  const std::string rule = context.node().string_or("update_rule", "gated_delta");
  if (rule != "linear" && rule != "gated" && rule != "delta" && rule != "gated_delta")
    context.reject("update_rule \"{}\": expected linear, gated, delta or gated_delta", rule);
  const bool gated = rule == "gated" || rule == "gated_delta";
  const bool delta = rule == "delta" || rule == "gated_delta";
  if (gated != context.has_input(4))
    context.reject("update_rule \"{}\" {} decay", rule, gated ? "needs" : "forbids");
  if (delta != context.has_input(5))
    context.reject("update_rule \"{}\" {} beta", rule, delta ? "needs" : "forbids");
}

// Of `index`, the width of one head.
ir::Dim head_of(const InferContext& context, int index, int64_t heads) {
  const ir::Dim width = dim_of(context, index, 2);
  if (width.known() && width.value() % heads != 0)
    context.reject("input {} is {} wide, which does not divide into {} heads", index, width.value(),
                   heads);
  return div_exact(width, ir::Dim(heads));
}

void infer_linear_attention(InferContext& context) {
  check_rule(context);
  const int64_t q_heads = context.node().int_or("q_num_heads", 0);
  const int64_t kv_heads = context.node().int_or("kv_num_heads", 0);
  if (q_heads < 1 || kv_heads < 1 || q_heads % kv_heads != 0)
    context.reject("q_num_heads {} is no multiple of kv_num_heads {}", q_heads, kv_heads);
  for (const int i : {0, 1, 2, 4, 5}) expect_rank_linear_attention(context, i, 3);
  expect_rank_linear_attention(context, 3, 4);
  require_same_dtype(context, 0, 1);
  require_same_dtype(context, 0, 2);
  ir::Dim batch = dim_of(context, 0, 0);
  ir::Dim steps = dim_of(context, 0, 1);
  for (const int i : {1, 2, 4, 5}) {
    batch = same_dim(context, batch, dim_of(context, i, 0), "batch of the inputs");
    steps = same_dim(context, steps, dim_of(context, i, 1), "steps of the inputs");
  }
  const ir::Dim key =
      same_dim(context, head_of(context, 0, q_heads), head_of(context, 1, kv_heads), "head size");
  const ir::Dim value = head_of(context, 2, kv_heads);
  const ir::Dim decay = dim_of(context, 4, 2);
  if (decay.known() && key.known() && decay.value() != kv_heads &&
      decay.value() != kv_heads * key.value())
    context.reject("decay is {} wide; expected {} or {}", decay.value(), kv_heads,
                   kv_heads * key.value());
  const ir::Dim beta = dim_of(context, 5, 2);
  if (beta.known() && beta.value() != kv_heads && beta.value() != 1)
    context.reject("beta is {} wide; expected {} or 1", beta.value(), kv_heads);
  const ir::Dims state{batch, ir::Dim(kv_heads), key, value};
  for (std::size_t d = 0; d < state.size(); ++d)
    same_dim(context, dim_of(context, 3, d), state[d], "dimensions of past_state");
  context.set_output(0, context.dtype(0), {batch, steps, mul(value, ir::Dim(q_heads))});
  context.set_output(1, context.has_input(3) ? context.dtype(3) : context.dtype(0), state);
}

void infer_conv_linear_attention(InferContext& context) {
  const std::string activation = context.node().string_or("activation", "none");
  if (activation != "none" && activation != "silu" && activation != "swish")
    context.reject("activation \"{}\": expected none, silu or swish", activation);
  for (const int i : {0, 1, 3}) expect_rank_linear_attention(context, i, 3);
  expect_rank_linear_attention(context, 2, 1);
  for (const int i : {1, 2, 3}) {
    if (context.has_input(i)) require_same_dtype(context, 0, i);
  }
  const ir::Dim batch = same_dim(context, dim_of(context, 0, 0), dim_of(context, 3, 0), "batch");
  ir::Dim channels = dim_of(context, 0, 1);
  channels = same_dim(context, channels, dim_of(context, 1, 0), "channels of input and weight");
  channels = same_dim(context, channels, dim_of(context, 3, 1), "channels of input and past_state");
  if (context.has_input(2))
    channels = same_dim(context, channels, dim_of(context, 2, 0), "channels of input and bias");
  same_dim(context, dim_of(context, 1, 1), ir::Dim(1), "middle dimension of the weight");
  const ir::Dim taps = dim_of(context, 1, 2);
  if (taps.known() && taps.value() < 1) context.reject("the weight has no taps");
  const ir::Dim carried =
      same_dim(context, sub(taps, ir::Dim(1)), dim_of(context, 3, 2), "steps of past_state");
  context.set_output(0, context.dtype(0), {batch, channels, dim_of(context, 0, 2)});
  context.set_output(1, context.dtype(0), {batch, channels, carried});
}

}  // namespace

constinit const OpDef causal_conv_with_state{.name = "CausalConvWithState",
                                             .since = 27,
                                             .compatible_since = 27,
                                             .min_inputs = 2,
                                             .max_inputs = 4,
                                             .min_outputs = 1,
                                             .max_outputs = 2,
                                             .attributes = kLinearAttentionConv,
                                             .infer = infer_conv_linear_attention};

constinit const OpDef linear_attention{.name = "LinearAttention",
                                       .since = 27,
                                       .compatible_since = 27,
                                       .min_inputs = 3,
                                       .max_inputs = 6,
                                       .min_outputs = 1,
                                       .max_outputs = 2,
                                       .attributes = kLinearAttention,
                                       .infer = infer_linear_attention};

}  // namespace tercel::ops
