#pragma once
// Products of f16 and bf16 by tiles of 64 x 64, for few rows: many small blocks, an epilogue of any
// kind, K split over blocks where that is wanted.

#include "src/kernels/cuda/gemm.h"

namespace tercel::kernels::cuda {

// Whether gemm_tile() takes the product: f16 or bf16; rows of A and B aligned to 16 bytes.
bool gemm_tile_takes(const GemmArgs& args);

// How many parts K should have for the blocks to fill the device.
int gemm_tile_splits(const GemmArgs& args);

// With `partial_sums`, part s of K goes to partial_sums[s, m, n] as it is, without epilogue or
// alpha; `splits` is then the number of parts, else 1.
void gemm_tile(const GemmArgs& args, float* partial_sums, int splits, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
