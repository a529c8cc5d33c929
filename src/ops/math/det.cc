#include "src/ops/math/math.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

void infer_det(InferContext& context) {
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  if (x->size() < 2) context.reject("the input has rank {}; expected 2 or more", x->size());
  same_dim(context, x->back(), (*x)[x->size() - 2], "rows and columns");
  context.set_output(0, context.dtype(0), ir::Dims(x->begin(), x->end() - 2));
}

}  // namespace

constinit const OpDef op_det{.name = "Det",
                             .since = 22,
                             .compatible_since = 11,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attributes = {},
                             .infer = infer_det};

}  // namespace tercel::ops
