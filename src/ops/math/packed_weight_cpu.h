#pragma once
// A constant [K, N] factor packed once, for the product that the session's type of weights asks for
// and the CPU has: f32, with f32, f16 or bf16 weights that are widened, or bf16 by bf16. What is
// dequantised from 4 or 8 bits stays in them.

#include <span>
#include <string>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu.h"

namespace tercel::ops {

class PackedWeight {
 public:
  // Empty when input `index` of the node can be packed, otherwise the reason why not.
  static std::string refuse(const KernelContext& context, int index);

  // The same of a weight that stays in 4 or 8 bits.
  static std::string refuse_grouped(const KernelContext& context, int index, bool transposed);

  // Empty when the siblings of the node, if any, can be multiplied in one step with it.
  static std::string refuse_together(const KernelContext& context, int index);

  // Empty when the product can read or write bf16 as KernelContext::rounding asks.
  static std::string refuse_rounding(const KernelContext& context, int index);

  // Empty when it will be multiplied as bf16 by bf16, otherwise the reason why not.
  static std::string refuse_bf16(const KernelContext& context);

  // The same of products of values with each other, where those by weights round as much or more.
  static std::string refuse_bf16_factors(const KernelContext& context);

  // `transposed`: the node multiplies by the transpose of its input.
  PackedWeight(const KernelContext& context, int index, bool transposed);

  int64_t k() const { return k_; }
  int64_t n() const { return n_; }
  // Bytes of args.workspace for m rows.
  std::size_t workspace(int64_t m, int threads) const {
    return bf16_ != nullptr ? 0 : gemm_.gemm_workspace(m, threads);
  }
  // args.c = epilogue(args.a · weight); n, k and the second factor are filled in here.
  void multiply(kernels::GemmArgs args, ThreadPool& pool) const;

  // multiply() of several weights of one k, all with the same A and workspace, in one step. Where
  // `rounding` says so, args.a or args.c point to bf16.
  static void multiply_together(std::span<const PackedWeight> weights,
                                std::span<kernels::GemmArgs> args, const Rounding& rounding,
                                ThreadPool& pool);

 private:
  void fill(kernels::GemmArgs& args) const;

  const kernels::GemmKernels& gemm_;
  const kernels::GemmBf16Kernels* bf16_ = nullptr;  // when the product is bf16 by bf16
  int64_t k_ = 0;
  int64_t n_ = 0;
  Dtype packed_ = Dtype::f32;
  std::shared_ptr<Buffer> data_;
};

// The most products that are computed in one step.
inline constexpr std::size_t kMaxTogether = 4;

kernels::Activation to_kernel(Activation activation);

// The plan's epilogue as the GEMM's. `residual` is an [m, n] tensor, used when the epilogue has
// one.
kernels::GemmEpilogue gemm_epilogue(const Epilogue& epilogue, const Tensor& residual, int64_t m,
                                    int64_t n);

}  // namespace tercel::ops
