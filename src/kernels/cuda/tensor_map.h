#pragma once
// What the copy engine of compute capability 9.0 is told about a batch of matrices in memory.

#include <cuda.h>

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// Row-major matrices of f16, bf16 or f8e4m3fn, copied in boxes of box_rows x 128 bytes whose
// 16-byte chunks are swizzled over 128 bytes. Pointer and strides are multiples of 16 bytes; a
// batch_stride of 0: there is one matrix.
struct TensorMapArgs {
  Dtype type = Dtype::f16;
  const void* data = nullptr;
  int64_t batch = 1, batch_stride = 0;
  int64_t rows = 0, columns = 0, row_stride = 0;
  int box_rows = 0;
};
// Errc::internal when the driver refuses.
CUtensorMap make_tensor_map(const TensorMapArgs& args);

}  // namespace tercel::kernels::cuda
