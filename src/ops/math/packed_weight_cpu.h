#pragma once
// A constant [K, N] factor packed once for the f32 GEMM.

#include <string>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu.h"

namespace tercel::ops {

class PackedWeight {
 public:
  // Empty when input `index` of the node can be packed, otherwise the reason why not.
  static std::string refuse(const KernelContext& context, int index);

  // `transposed`: the node multiplies by the transpose of its input.
  PackedWeight(const KernelContext& context, int index, bool transposed);

  int64_t k() const { return k_; }
  int64_t n() const { return n_; }
  // The weight as the second factor of `args`.
  void fill(kernels::GemmArgs& args) const;

 private:
  int64_t k_ = 0;
  int64_t n_ = 0;
  Dtype packed_ = Dtype::f32;
  std::shared_ptr<Buffer> data_;
};

kernels::Activation to_kernel(Activation activation);

// The plan's epilogue as the GEMM's. `residual` is an [m, n] tensor, used when the epilogue has
// one.
kernels::GemmEpilogue gemm_epilogue(const Epilogue& epilogue, const Tensor& residual, int64_t m,
                                    int64_t n);

}  // namespace tercel::ops
