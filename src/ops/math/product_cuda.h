#pragma once
// What products with a constant right side share, whatever type they multiply in.

#include <span>
#include <string>
#include <vector>

#include "src/ops/cuda_util.h"

namespace tercel::ops {

// The right sides and biases of the node and its siblings, in their order.
struct ProductConstants {
  std::vector<Tensor> weights, biases;  // a bias is undefined where there is none

  explicit ProductConstants(const KernelContext& context);
  bool any_bias() const;
};

// Sets c_batch to where each output lies behind the one before; false when they do not lie evenly.
bool set_distance(cuda::GemmArgs& args, std::span<Tensor> outputs);

// Empty when the right side is a floating-point constant of rank 2 and the epilogue one that the
// kernels have; of a Gemm also when A is as it is and C, if any, one row.
std::string refuse_weight(const KernelContext& context);
// The same of all siblings, which are products of one size, all with one activation.
std::string refuse_together(const KernelContext& context);

// Where there is a KernelContext::product_dtype and the weight is large (product_bytes_cuda.cc).
std::string refuse_byte_weight(const KernelContext& context);
std::unique_ptr<Kernel> create_byte_weight(const KernelContext& context);

}  // namespace tercel::ops
