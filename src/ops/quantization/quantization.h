#pragma once
// Operators that quantise, and products of quantised tensors.

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef conv_integer;
extern const OpDef dequantize_linear;
extern const OpDef dynamic_quantize_linear;
extern const OpDef dynamic_quantized_conv;
extern const OpDef dynamic_quantized_matmul;
extern const OpDef matmul_integer;
extern const OpDef qlinear_conv;
extern const OpDef qlinear_matmul;
extern const OpDef quantize_linear;

}  // namespace tercel::ops
