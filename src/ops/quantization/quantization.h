#pragma once
// Operators that quantise, and products of quantised tensors.

#include "src/ops/op_def.h"

namespace tercel::ops {

// Elements of a row that tercel.BlockQuantizedMatMul rounds by a scale of their own.
inline constexpr int64_t kQuantizedBlock = 32;

extern const OpDef block_quantized_matmul;
extern const OpDef conv_integer;
extern const OpDef dequantize_linear;
extern const OpDef dynamic_quantize_linear;
extern const OpDef dynamic_quantized_conv;
extern const OpDef dynamic_quantized_matmul;
extern const OpDef matmul_integer;
extern const OpDef qlinear_add;
extern const OpDef qlinear_conv;
extern const OpDef qlinear_matmul;
extern const OpDef quantize_linear;

}  // namespace tercel::ops
