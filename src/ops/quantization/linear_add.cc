// tercel.QLinearAdd(A, a_scale, a_zero, B, b_scale, b_zero, y_scale, y_zero): the sum of two
// tensors of bytes of one shape, each with one scale and one zero point, as bytes. A model-local
// function, whose body (src/passes/quantized_functions.cc) other runtimes run.
#include "src/ops/quantization/quantization.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

void infer_linear_add(InferContext& context) {
  for (const int index : {0, 3}) require_same_dtype(context, index, index + 2);
  const ir::Dims* a = context.dims(0);
  const ir::Dims* b = context.dims(3);
  if (a == nullptr || b == nullptr) return context.set_output(0, context.dtype(7));
  if (a->size() != b->size())
    context.reject("the addends have ranks {} and {}; expected one shape", a->size(), b->size());
  for (std::size_t d = 0; d < a->size(); ++d)
    same_dim(context, (*a)[d], (*b)[d], "dimensions of the addends");
  context.set_output(0, context.dtype(7), *a);
}

}  // namespace

constinit const OpDef qlinear_add = {.domain = "tercel",
                                     .name = "QLinearAdd",
                                     .since = 1,
                                     .compatible_since = 1,
                                     .min_inputs = 8,
                                     .max_inputs = 8,
                                     .min_outputs = 1,
                                     .max_outputs = 1,
                                     .infer = infer_linear_add};

}  // namespace tercel::ops
