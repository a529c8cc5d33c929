#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kAttentionAttributes[] = {{"is_causal", AttributeKind::integer},
                                                 {"kv_num_heads", AttributeKind::integer},
                                                 {"left_window_size", AttributeKind::integer},
                                                 {"q_num_heads", AttributeKind::integer},
                                                 {"qk_matmul_output_mode", AttributeKind::integer},
                                                 {"right_window_size", AttributeKind::integer},
                                                 {"scale", AttributeKind::number},
                                                 {"softcap", AttributeKind::number},
                                                 {"softmax_precision", AttributeKind::integer}};

// One of Q, K, V or a past tensor as [batch, heads, length, head size].
struct Heads {
  ir::Dim batch, heads, length, size;
};

std::optional<Heads> heads_of(InferContext& context, int index, std::string_view attribute) {
  const ir::Dims* dims = context.dims(index);
  if (dims == nullptr) return std::nullopt;
  if (dims->size() == 4) return Heads{(*dims)[0], (*dims)[1], (*dims)[2], (*dims)[3]};
  if (dims->size() != 3)
    context.reject("input {} has rank {}; expected 3 or 4", index, dims->size());
  const int64_t heads = context.node().int_or(attribute, 0);
  if (heads <= 0) context.reject("{} is missing; inputs of rank 3 need it", attribute);
  const ir::Dim& width = dims->back();
  if (width.known() && width.value() % heads != 0)
    context.reject("input {}: {} columns do not divide into {} heads", index, width.value(), heads);
  return Heads{(*dims)[0], heads, (*dims)[1], div_exact(width, heads)};
}

void require_equal(InferContext& context, const ir::Dim& a, const ir::Dim& b,
                   std::string_view what) {
  if (a.known() && b.known() && a.value() != b.value())
    context.reject("the {} differ: {} and {}", what, a.value(), b.value());
}

void check(InferContext& context, const Heads& q, const Heads& k, const Heads& v) {
  require_equal(context, q.batch, k.batch, "batch sizes of Q and K");
  require_equal(context, k.batch, v.batch, "batch sizes of K and V");
  require_equal(context, k.heads, v.heads, "numbers of heads of K and V");
  require_equal(context, k.length, v.length, "lengths of K and V");
  require_equal(context, q.size, k.size, "head sizes of Q and K");
  if (q.heads.known() && k.heads.known() &&
      (k.heads.value() == 0 || q.heads.value() % k.heads.value() != 0)) {
    context.reject("{} heads of Q cannot share {} heads of K and V", q.heads.value(),
                   k.heads.value());
  }
}

void check_options(InferContext& context) {
  const auto& node = context.node();
  require_same_dtype(context, 0, 1);
  for (const auto* window : {"left_window_size", "right_window_size"}) {
    if (node.int_or(window, -1) < -1)
      context.reject("{} is {}; expected -1 or more", window, node.int_or(window, -1));
  }
  const int64_t mode = node.int_or("qk_matmul_output_mode", 0);
  if (mode < 0 || mode > 3) context.reject("qk_matmul_output_mode is {}; expected 0 to 3", mode);
  if (context.has_input(4) != context.has_input(5))
    context.reject("has only one of past_key and past_value; expected both or none");
  if (context.has_input(4) && context.has_input(6))
    context.reject("has both past_key and nonpad_kv_seqlen; expected one of them at most");
}

void infer_attention(InferContext& context) {
  check_options(context);
  for (int i = 0; i < 4; ++i) context.set_output(i, context.dtype(i == 2 ? 2 : 0));
  const auto q = heads_of(context, 0, "q_num_heads");
  const auto k = heads_of(context, 1, "kv_num_heads");
  const auto v = heads_of(context, 2, "kv_num_heads");
  if (!q || !k || !v) return;
  check(context, *q, *k, *v);
  const ir::Dim batch = q->batch.known() ? q->batch : k->batch.known() ? k->batch : q->batch;
  if (*context.rank(0) == 3)
    context.set_output(0, context.dtype(0), {batch, q->length, mul(q->heads, v->size)});
  else
    context.set_output(0, context.dtype(0), {batch, q->heads, q->length, v->size});

  ir::Dim total = k->length;
  if (context.has_input(4)) {
    const ir::Dims* past = context.dims(4);
    if (past != nullptr && past->size() != 4)
      context.reject("past_key has rank {}; expected 4", past->size());
    total = past != nullptr ? add((*past)[2], k->length) : ir::Dim();
  }
  context.set_output(1, context.dtype(1), {batch, k->heads, total, k->size});
  context.set_output(2, context.dtype(2), {batch, v->heads, total, v->size});
  context.set_output(3, context.dtype(0), {batch, q->heads, q->length, total});
}

int version_of(const ir::Node& node) {
  if (node.has_attribute("left_window_size") || node.has_attribute("right_window_size")) return 25;
  return node.input(6) != nullptr ? 24 : 23;
}

}  // namespace

constinit const OpDef attention{.name = "Attention",
                                .since = 25,
                                .compatible_since = 23,
                                .min_inputs = 3,
                                .max_inputs = 7,
                                .min_outputs = 1,
                                .max_outputs = 4,
                                .attributes = kAttentionAttributes,
                                .infer = infer_attention,
                                .version_of = version_of};

}  // namespace tercel::ops
