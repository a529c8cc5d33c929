// tercel.DynamicQuantizedMatMul(X, W): X · W, each row of X rounded to 8 bits by a scale and a zero
// point of its own. tercel.DynamicQuantizedConv(X, W, B): the convolution of X, each item of the
// batch rounded in that way, with one group. tercel.BlockQuantizedMatMul(X, W): X · W, each 32
// elements of a row rounded to 8 bits by a scale of their own. Model-local functions, whose bodies
// (src/passes/quantized_functions.cc) other runtimes run.
#include "src/ops/math/matmul.h"
#include "src/ops/nn/window.h"
#include "src/ops/quantization/quantization.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kDynamicWindow[] = {{"auto_pad", AttributeKind::string},
                                           {"dilations", AttributeKind::integers},
                                           {"pads", AttributeKind::integers},
                                           {"strides", AttributeKind::integers}};

void infer_matmul_dynamic(InferContext& context) {
  infer_product(context, 0, 1, context.dtype(0));
  require_same_dtype(context, 0, 1);
}

void infer_block_matmul(InferContext& context) {
  infer_matmul_dynamic(context);
  const ir::Dims* w = context.dims(1);
  if (w != nullptr && w->size() == 2 && w->front().known() &&
      w->front().value() % kQuantizedBlock != 0)
    context.reject("K is {}; expected a multiple of {}", w->front().value(), kQuantizedBlock);
}

void infer_conv_dynamic(InferContext& context) {
  infer_convolution(context, 1, context.dtype(0));
  for (const int index : {1, 2}) require_same_dtype(context, 0, index);
  if (const ir::Dims* w = context.dims(1)) check_bias(context, 2, w->front());
}

constexpr OpDef dynamic(std::string_view name, int inputs, std::span<const AttributeDef> attributes,
                        void (*rule)(InferContext&)) {
  return {.domain = "tercel",
          .name = name,
          .since = 1,
          .compatible_since = 1,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = attributes,
          .infer = rule};
}

}  // namespace

constinit const OpDef block_quantized_matmul =
    dynamic("BlockQuantizedMatMul", 2, {}, infer_block_matmul);
constinit const OpDef dynamic_quantized_conv =
    dynamic("DynamicQuantizedConv", 3, kDynamicWindow, infer_conv_dynamic);
constinit const OpDef dynamic_quantized_matmul =
    dynamic("DynamicQuantizedMatMul", 2, {}, infer_matmul_dynamic);

}  // namespace tercel::ops
