#pragma once
// Errors of the CUDA runtime as Tercel's.

#include <cuda_runtime_api.h>

#include "src/base/fail.h"

namespace tercel::cuda {

// Throws Errc::out_of_memory or Errc::internal, naming the call, when `result` is an error.
inline void check(cudaError_t result, const char* call) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // what is not sticky is told once
  fail(result == cudaErrorMemoryAllocation ? Errc::out_of_memory : Errc::internal, "{}: {} ({})",
       call, cudaGetErrorString(result), cudaGetErrorName(result));
}

}  // namespace tercel::cuda
