#pragma once
// The rule of a matrix product, for the operators that are one in other types.

#include "src/ops/infer.h"

namespace tercel::ops {

// Output 0 is the product of inputs `first` and `second`, as numpy.matmul shapes it, of `dtype`.
void infer_product(InferContext& context, int first, int second, Dtype dtype);

}  // namespace tercel::ops
