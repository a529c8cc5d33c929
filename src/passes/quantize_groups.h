#pragma once
// Weights of 4 bits with a scale for each group of K of a column, by rows that are rounded to 8.

#include "src/ir/model.h"

namespace tercel::passes {

inline constexpr int64_t kQuantizedGroup = 32;

// The constant matrix of each f32 MatMul and plain Gemm of at least 1,024 elements (also behind
// Transpose and Cast) becomes the DequantizeLinear of an i4 [K, N] in blocks of kQuantizedGroup
// along K, with scales in f32; the product by it becomes tercel.BlockQuantizedMatMul
// (quantized_functions.h) where K is a multiple of its block. Weights with elements that are not
// finite stay.
void quantize_groups(ir::Model& model);

}  // namespace tercel::passes
