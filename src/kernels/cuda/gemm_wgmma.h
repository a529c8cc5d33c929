#pragma once
// Products of f16, bf16 and fp8 by tiles of 128 x 128 on Hopper's tensor cores, for many rows, with
// what cuBLASLt cannot end a product with: GELU by erf, and behind fp8 anything. It is computed
// while the next tile is multiplied.

#include "src/kernels/cuda/gemm.h"

namespace tercel::kernels::cuda {

// Whether gemm_wgmma() takes the product: has_hopper_kernels(); f16 or bf16; B transposed; rows
// of A, B and C aligned to 16 bytes; no activation, or GELU.
bool gemm_wgmma_takes(const GemmArgs& args);

void gemm_wgmma(const GemmArgs& args, cudaStream_t stream);

// The same of fp8, whose B is always transposed.
bool gemm_wgmma_takes(const Fp8GemmArgs& args);
void gemm_wgmma(const Fp8GemmArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
