#pragma once
// Products with few columns, as the heads of question answering and classification have: each row
// is read once, by a warp.

#include "src/kernels/cuda/gemm.h"

namespace tercel::kernels::cuda {

// Whether gemm_narrow() takes the product: f16 or bf16, at most 8 columns whose weights fit shared
// memory, rows of A aligned to 16 bytes, batch 1. A row's bits do not depend on M.
bool gemm_narrow_takes(const GemmArgs& args);

void gemm_narrow(const GemmArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
