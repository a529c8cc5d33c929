// The functions of packed rows (src/passes/packed_functions.h has their bodies): a batch without
// its padding, one row a token, sequence after sequence.

#include <array>

#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

const ir::Dims& dims_of_rank(InferContext& context, int index, std::size_t rank) {
  static const ir::Dims kUnknown(2);
  const ir::Dims* dims = context.dims(index);
  if (dims == nullptr) return kUnknown;
  if (dims->size() != rank)
    context.reject("input {} has rank {}; expected {}", index, dims->size(), rank);
  return *dims;
}

// How many tokens are real is known at run time; their number has a name before.
void infer_rows(InferContext& context) {
  const ir::Dims mask = dims_of_rank(context, 0, 2);
  const ir::Dim tokens(fmt::format("tokens({})", context.node().input(0)->name()));
  context.set_output(0, Dtype::i64, {tokens});
  context.set_output(1, Dtype::i64, {add(mask[0], 1)});
  context.set_output(2, Dtype::i64, {tokens});
  context.set_output(3, Dtype::i64, {mask[0]});
  context.set_output(4, Dtype::boolean, mask);
}

void require_dtype(InferContext& context, int index, Dtype dtype) {
  const Dtype given = context.dtype(index);
  if (given != dtype && given != Dtype::undefined)
    context.reject("input {} is {}; expected {}", index, to_string(given), to_string(dtype));
}

ir::Dim head_size(InferContext& context, const ir::Dim& width, int64_t heads) {
  if (heads <= 0) context.reject("has {} heads; expected one at least", heads);
  if (width.known() && width.value() % heads != 0)
    context.reject("{} columns do not divide into {} heads", width.value(), heads);
  return div_exact(width, heads);
}

void infer_attention_packed(InferContext& context) {
  require_same_dtype(context, 0, 1);
  require_same_dtype(context, 0, 2);
  require_dtype(context, 3, Dtype::i64);
  require_dtype(context, 4, Dtype::i64);
  require_dtype(context, 5, Dtype::boolean);
  dims_of_rank(context, 5, 2);
  const ir::Dims q = dims_of_rank(context, 0, 2);
  const ir::Dims k = dims_of_rank(context, 1, 2);
  const ir::Dims v = dims_of_rank(context, 2, 2);
  const int64_t q_heads = context.node().int_or("q_num_heads", 0);
  const int64_t kv_heads = context.node().int_or("kv_num_heads", 0);
  const ir::Dim q_size = head_size(context, q[1], q_heads);
  const ir::Dim k_size = head_size(context, k[1], kv_heads);
  const ir::Dim v_size = head_size(context, v[1], kv_heads);
  if (q_heads % kv_heads != 0)
    context.reject("{} heads of Q cannot share {} heads of K and V", q_heads, kv_heads);
  if (q_size.known() && k_size.known() && q_size.value() != k_size.value())
    context.reject("the head sizes of Q and K differ: {} and {}", q_size.value(), k_size.value());
  context.set_output(0, context.dtype(0), {q[0], mul(q_heads, v_size)});
}

void infer_unpacked(InferContext& context) {
  require_dtype(context, 1, Dtype::i64);
  require_dtype(context, 2, Dtype::boolean);
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) return context.set_output(0, context.dtype(0));
  if (x->empty()) context.reject("its rows are a scalar; expected rank 1 or more");
  ir::Dims dims = dims_of_rank(context, 2, 2);
  dims.insert(dims.end(), x->begin() + 1, x->end());
  context.set_output(0, context.dtype(0), std::move(dims));
}

constexpr AttributeDef kAttention[] = {
    {"q_num_heads", AttributeKind::integer, true}, {"kv_num_heads", AttributeKind::integer, true},
    {"scale", AttributeKind::number, true},        {"softcap", AttributeKind::number},
    {"left_window", AttributeKind::integer},       {"right_window", AttributeKind::integer}};

}  // namespace

constinit const OpDef packed_attention{.domain = "tercel",
                                       .name = "PackedAttention",
                                       .since = 1,
                                       .compatible_since = 1,
                                       .min_inputs = 7,
                                       .max_inputs = 7,
                                       .min_outputs = 1,
                                       .max_outputs = 1,
                                       .attributes = kAttention,
                                       .infer = infer_attention_packed};

constinit const OpDef packed_rows{.domain = "tercel",
                                  .name = "PackedRows",
                                  .since = 1,
                                  .compatible_since = 1,
                                  .min_inputs = 1,
                                  .max_inputs = 1,
                                  .min_outputs = 5,
                                  .max_outputs = 5,
                                  .attributes = {},
                                  .infer = infer_rows};

constinit const OpDef unpacked_rows{.domain = "tercel",
                                    .name = "UnpackedRows",
                                    .since = 1,
                                    .compatible_since = 1,
                                    .min_inputs = 3,
                                    .max_inputs = 3,
                                    .min_outputs = 1,
                                    .max_outputs = 1,
                                    .attributes = {},
                                    .infer = infer_unpacked};

}  // namespace tercel::ops
