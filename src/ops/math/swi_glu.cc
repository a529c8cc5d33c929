#include "src/ops/math/math.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kSwiGluAttributes[] = {{"alpha", AttributeKind::number}};

void infer_swi_glu(InferContext& context) {
  require_same_dtype(context, 0, 1);
  infer_same_type(context);
  const ir::Dims* a = context.dims(0);
  const ir::Dims* b = context.dims(1);
  if (a == nullptr || b == nullptr) return;
  if (a->size() != b->size()) context.reject("A has rank {}, B has {}", a->size(), b->size());
  ir::Dims out;
  for (std::size_t i = 0; i < a->size(); ++i)
    out.push_back(same_dim(context, (*a)[i], (*b)[i], "dimensions of A and B"));
  context.set_output(0, context.dtype(0), std::move(out));
}

}  // namespace

constinit const OpDef op_swi_glu{.name = "SwiGLU",
                                 .since = 28,
                                 .compatible_since = 28,
                                 .min_inputs = 2,
                                 .max_inputs = 2,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attributes = kSwiGluAttributes,
                                 .infer = infer_swi_glu};

}  // namespace tercel::ops
