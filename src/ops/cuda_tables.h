#pragma once
// The tables of CUDA implementations, one a family, a row an operator, best implementation first.

#include <span>

#include "src/ops/kernel.h"

namespace tercel::ops {

using CudaFamily = std::span<const OperatorKernels>;

CudaFamily product_cuda_ops();
CudaFamily elementwise_cuda_ops();
CudaFamily normalization_cuda_ops();
CudaFamily attention_cuda_ops();
CudaFamily conv_cuda_ops();
CudaFamily pool_cuda_ops();
CudaFamily resize_cuda_ops();
CudaFamily move_cuda_ops();
CudaFamily index_cuda_ops();
CudaFamily reduction_cuda_ops();

const KernelTable& cuda_kernel_table();

}  // namespace tercel::ops
