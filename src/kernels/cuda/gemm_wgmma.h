#pragma once
// Products of f16, bf16 and bytes by tiles of 128 x 128 on Hopper's tensor cores, for many rows,
// with what cuBLASLt cannot end a product with: GELU by erf, and behind bytes anything. It is
// computed while the next tile is multiplied.

#include "src/kernels/cuda/gemm.h"

namespace tercel::kernels::cuda {

// Whether gemm_wgmma() takes the product: has_hopper_kernels(); f16 or bf16; B transposed; rows
// of A, B, C and the residual aligned to 16 bytes; no activation, or GELU.
bool gemm_wgmma_takes(const GemmArgs& args);

void gemm_wgmma(const GemmArgs& args, cudaStream_t stream);

// The same of bytes, whose B is always transposed.
bool gemm_wgmma_takes(const ByteGemmArgs& args);
void gemm_wgmma(const ByteGemmArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
