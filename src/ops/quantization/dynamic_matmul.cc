// tercel.DynamicQuantizedMatMul(X, W): X · W, each row of X rounded to 8 bits by a scale and a zero
// point of its own. A model-local function, whose body (src/passes/quantize_dynamic.cc) other
// runtimes run.
#include "src/ops/math/matmul.h"
#include "src/ops/quantization/quantization.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

void infer_dynamic(InferContext& context) { infer_product(context, 0, 1, context.dtype(0)); }

}  // namespace

constinit const OpDef dynamic_quantized_matmul = {.domain = "tercel",
                                                  .name = "DynamicQuantizedMatMul",
                                                  .since = 1,
                                                  .compatible_since = 1,
                                                  .min_inputs = 2,
                                                  .max_inputs = 2,
                                                  .min_outputs = 1,
                                                  .max_outputs = 1,
                                                  .attributes = {},
                                                  .infer = infer_dynamic};

}  // namespace tercel::ops
