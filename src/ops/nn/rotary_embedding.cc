#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kRotaryEmbeddingAttributes[] = {
    {"interleaved", AttributeKind::integer},
    {"num_heads", AttributeKind::integer},
    {"rotary_embedding_dim", AttributeKind::integer}};

void infer_rotary_embedding(InferContext& context) {
  require_same_dtype(context, 0, 1);
  require_same_dtype(context, 0, 2);
  infer_same_type(context);
  const auto& node = context.node();
  const int64_t heads = node.int_or("num_heads", 0);
  const int64_t rotated = node.int_or("rotary_embedding_dim", 0);
  if (rotated < 0 || rotated % 2 != 0)
    context.reject("rotary_embedding_dim is {}; expected an even number", rotated);
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) return;
  if (x->size() != 3 && x->size() != 4)
    context.reject("the input has rank {}; expected 3 or 4", x->size());
  if (x->size() == 3 && heads <= 0)
    context.reject("num_heads is missing; an input of rank 3 needs it");
  if (!x->back().known()) return;
  const int64_t width = x->back().value();
  if (x->size() == 3 && width % heads != 0)
    context.reject("{} columns do not divide into {} heads", width, heads);
  const int64_t head = x->size() == 3 ? width / heads : width;
  if (rotated > head) context.reject("rotates {} of {} elements of a head", rotated, head);
  if (rotated == 0 && head % 2 != 0)
    context.reject("a head has {} elements; expected an even number", head);
  const ir::Dims* cache = context.dims(1);
  const std::size_t expected = context.has_input(3) ? 2 : 3;
  if (cache != nullptr && cache->size() != expected)
    context.reject("cos_cache has rank {}; expected {}", cache->size(), expected);
}

}  // namespace

constinit const OpDef rotary_embedding{.name = "RotaryEmbedding",
                                       .since = 23,
                                       .compatible_since = 23,
                                       .min_inputs = 3,
                                       .max_inputs = 4,
                                       .min_outputs = 1,
                                       .max_outputs = 1,
                                       .attributes = kRotaryEmbeddingAttributes,
                                       .infer = infer_rotary_embedding};

}  // namespace tercel::ops
