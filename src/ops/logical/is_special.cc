#include "src/ops/logical/logical.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kIsInf[] = {{"detect_negative", AttributeKind::integer},
                                   {"detect_positive", AttributeKind::integer}};

void infer_is_special(InferContext& context) {
  if (const ir::Dims* dims = context.dims(0))
    context.set_output(0, Dtype::boolean, *dims);
  else
    context.set_output(0, Dtype::boolean);
}

constexpr OpDef predicate(std::string_view name, int compatible_since,
                          std::span<const AttributeDef> attributes) {
  return {.name = name,
          .since = 20,
          .compatible_since = compatible_since,
          .min_inputs = 1,
          .max_inputs = 1,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = attributes,
          .infer = infer_is_special};
}

}  // namespace

constinit const OpDef op_is_inf = predicate("IsInf", 10, kIsInf);
constinit const OpDef op_is_nan = predicate("IsNaN", 9, {});

}  // namespace tercel::ops
