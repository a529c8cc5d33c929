#pragma once
// Weights of 4 bits with a scale for each group of K of a column; activations stay as they are.

#include "src/ir/model.h"

namespace tercel::passes {

inline constexpr int64_t kQuantizedGroup = 32;

// The constant matrix of each f32 MatMul and plain Gemm of at least 1,024 elements (also behind
// Transpose and Cast) becomes the DequantizeLinear of an i4 [K, N] in blocks of kQuantizedGroup
// along K, with scales in f32. Weights with elements that are not finite stay.
void quantize_groups(ir::Model& model);

}  // namespace tercel::passes
