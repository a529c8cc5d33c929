#include "src/ops/math/math.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kCumulativeAttributes[] = {{"exclusive", AttributeKind::integer},
                                                  {"reverse", AttributeKind::integer}};

void infer_cumulative(InferContext& context) {
  const auto axis = context.numbers(1);
  const auto rank = context.rank(0);
  if (axis && axis->size() == 1 && rank) context.axis(axis->front(), *rank);
  infer_same_type(context);
}

constexpr OpDef cumulative(std::string_view name, int since, int compatible_since) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = 2,
          .max_inputs = 2,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = kCumulativeAttributes,
          .infer = infer_cumulative};
}

}  // namespace

constinit const OpDef op_cum_prod = cumulative("CumProd", 26, 26);
constinit const OpDef op_cum_sum = cumulative("CumSum", 14, 11);

}  // namespace tercel::ops
