#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kLrnAttributes[] = {{"alpha", AttributeKind::number},
                                           {"beta", AttributeKind::number},
                                           {"bias", AttributeKind::number},
                                           {"size", AttributeKind::integer, true}};

void infer_lrn(InferContext& context) {
  const int64_t size = context.node().int_or("size", 0);
  if (size < 1) context.reject("size is {}; expected 1 or more", size);
  const auto rank = context.rank(0);
  if (rank && *rank < 2) context.reject("the input has rank {}; expected 2 or more", *rank);
  infer_same_type(context);
}

}  // namespace

constinit const OpDef lrn{.name = "LRN",
                          .since = 13,
                          .compatible_since = 1,
                          .min_inputs = 1,
                          .max_inputs = 1,
                          .min_outputs = 1,
                          .max_outputs = 1,
                          .attributes = kLrnAttributes,
                          .infer = infer_lrn};

}  // namespace tercel::ops
