#pragma once
// A binary vector kernel over tensors that broadcast.

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"

namespace tercel::ops {

// out = op(a, b), all f32. `out` may be a or b when that one has out's shape.
void broadcast_f32(const kernels::CpuKernels& kernels, kernels::BinaryOp op, const Tensor& a,
                   const Tensor& b, Tensor& out, ThreadPool& pool);

}  // namespace tercel::ops
