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

// Whether kernels multiply a QLinearConv or ConvInteger by a constant weight of this shape as
// bytes: of one group, or depthwise, with one output channel a group.
bool is_conv_of_bytes(const ir::Node& conv, const Shape& weight);

}  // namespace tercel::ops
