#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kDropoutAttributes[] = {{"seed", AttributeKind::integer}};

void infer_dropout(InferContext& context) {
  const Dtype mode = context.dtype(2);
  if (mode != Dtype::undefined && mode != Dtype::boolean)
    context.reject("training_mode must be boolean; it has {}", to_string(mode));
  infer_same_type(context);
  if (const ir::Dims* dims = context.dims(0))
    context.set_output(1, Dtype::boolean, *dims);
  else
    context.set_output(1, Dtype::boolean);
}

}  // namespace

// Random only in training, which no kernel offers.
constinit const OpDef dropout{.name = "Dropout",
                              .since = 22,
                              .compatible_since = 12,
                              .min_inputs = 1,
                              .max_inputs = 3,
                              .min_outputs = 1,
                              .max_outputs = 2,
                              .attributes = kDropoutAttributes,
                              .infer = infer_dropout};

}  // namespace tercel::ops
