#include "src/ops/math/math.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kAttributes[] = {{"exclusive", AttributeKind::integer},
                                        {"reverse", AttributeKind::integer}};

void infer(InferContext& context) {
  const auto axis = context.numbers(1);
  const auto rank = context.rank(0);
  if (axis && axis->size() == 1 && rank) context.axis(axis->front(), *rank);
  infer_same_type(context);
}

}  // namespace

constinit const OpDef op_cum_sum{.name = "CumSum",
                                 .since = 14,
                                 .compatible_since = 11,
                                 .min_inputs = 2,
                                 .max_inputs = 2,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attributes = kAttributes,
                                 .infer = infer};

}  // namespace tercel::ops
