#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kUniqueAttributes[] = {{"axis", AttributeKind::integer},
                                              {"sorted", AttributeKind::integer}};

void infer_unique(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  const bool flat = !context.node().has_attribute("axis");
  ir::Dims out{ir::Dim()};
  if (!flat && dims != nullptr) {
    out = *dims;
    const int axis = context.axis(context.node().int_or("axis", 0), static_cast<int>(dims->size()));
    out[static_cast<std::size_t>(axis)] = ir::Dim();
  }
  if (flat || dims != nullptr)
    context.set_output(0, context.dtype(0), std::move(out));
  else
    context.set_output(0, context.dtype(0));
  for (int i = 1; i < 4; ++i) context.set_output(i, Dtype::i64, {ir::Dim()});
}

}  // namespace

const OpDef unique{.name = "Unique",
                   .since = 28,
                   .compatible_since = 11,
                   .min_inputs = 1,
                   .max_inputs = 1,
                   .min_outputs = 1,
                   .max_outputs = 4,
                   .attributes = kUniqueAttributes,
                   .infer = infer_unique};

}  // namespace tercel::ops
