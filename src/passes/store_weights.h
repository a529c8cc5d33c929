#pragma once
// The element type in which a model's weights are stored. Arithmetic stays what it was: a stored
// half is followed by a Cast, which the plan runs together with the operator.

#include <string>
#include <vector>

#include "src/ir/model.h"

namespace tercel::passes {

// For f16 and bf16: weights of MatMul and Gemm (also behind a Transpose) and tables of Gather, in
// f32, of rank 2 or more and at least 4 KiB, are rounded to nearest even, and a Cast to f32 follows
// (after the Gather). Those of MatMul and Gemm that are stored in the other 16-bit type are
// converted; tables in 16 bits stay. A weight whose elements f16 cannot hold stays as it is, and
// its name is in the returned list. For f32: every 16-bit constant behind a Cast to f32 becomes
// f32. Throws Errc::invalid_argument for another type.
std::vector<std::string> store_weights(ir::Model& model, Dtype dtype);

}  // namespace tercel::passes
