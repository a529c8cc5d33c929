#include "src/ops/math/packed_weight_cpu.h"

#include <algorithm>
#include <cmath>

#include "src/base/half.h"
#include "src/ops/cpu_util.h"

namespace tercel::ops {

kernels::Activation to_kernel(Activation activation) {
  switch (activation) {
    case Activation::none:
      return kernels::Activation::none;
    case Activation::relu:
      return kernels::Activation::relu;
    case Activation::gelu_erf:
      return kernels::Activation::gelu;
    case Activation::gelu_tanh:
      return kernels::Activation::gelu_tanh;
    case Activation::silu:
      return kernels::Activation::silu;
    case Activation::tanh:
      return kernels::Activation::tanh;
    case Activation::sigmoid:
      return kernels::Activation::sigmoid;
  }
  fail(Errc::internal, "an activation without a kernel");
}

namespace {

bool fits_f16(const Tensor& tensor) {
  constexpr float kLargest = 65504.0F;
  const auto fits = [](float value) { return !(std::fabs(value) > kLargest); };
  if (tensor.dtype() == Dtype::f32) {
    const auto values = tensor.values<float>();
    return std::all_of(values.begin(), values.end(), fits);
  }
  const auto* values = static_cast<const bf16*>(tensor.data());
  return std::all_of(values, values + tensor.size(),
                     [&](bf16 value) { return fits(to_float(value)); });
}

// For f32, what is stored in a half type stays in it: the kernel widens it exactly. A weight that
// f16 cannot hold keeps its own type.
Dtype packed_dtype(const Tensor& stored, Dtype wanted) {
  if (wanted == Dtype::f32 || wanted == stored.dtype()) return stored.dtype();
  if (wanted == Dtype::f16 && !fits_f16(stored)) return stored.dtype();
  return wanted;
}

}  // namespace

std::string PackedWeight::refuse(const KernelContext& context, int index) {
  if (context.input_dtype(index) != Dtype::f32) return "the weight is not f32";
  const auto source = constant_source(context, index);
  if (!source) return "the weight is not a constant matrix";
  return refuse_dtype(Types<float, f16, bf16>{}, source->tensor.dtype());
}

std::string PackedWeight::refuse_bf16(const KernelContext& context) {
  if (context.weight_dtype != Dtype::bf16) return "the session's weights are not bf16";
  if (kernels::gemm_bf16_kernels(context.isa) == nullptr)
    return fmt::format("{} does not multiply bf16", to_string(context.isa));
  return {};
}

PackedWeight::PackedWeight(const KernelContext& context, int index, bool transposed)
    : gemm_(kernels::cpu_kernels(context.isa).gemm) {
  const auto source = constant_source(context, index);
  TERCEL_CHECK(source.has_value());
  const Tensor& stored = source->tensor;
  const bool swapped = source->transposed != transposed;
  k_ = stored.shape()[swapped ? 1 : 0];
  n_ = stored.shape()[swapped ? 0 : 1];
  packed_ = packed_dtype(stored, context.weight_dtype);
  if (refuse_bf16(context).empty()) bf16_ = kernels::gemm_bf16_kernels(context.isa);
  const std::size_t bytes =
      bf16_ != nullptr ? bf16_->packed_bytes(k_, n_) : gemm_.packed_bytes(k_, n_, packed_);
  data_ = context.memory.allocate(bytes, "packed weight");
  const kernels::PackBArgs args{.k = k_,
                                .n = n_,
                                .b = stored.data(),
                                .source = stored.dtype(),
                                .k_stride = swapped ? 1 : n_,
                                .n_stride = swapped ? k_ : 1,
                                .packed = packed_,
                                .out = data_->data()};
  (bf16_ != nullptr ? bf16_->pack_b : gemm_.pack_b)(args, context.pool);
}

void PackedWeight::multiply(kernels::GemmArgs args, ThreadPool& pool) const {
  args.n = n_;
  args.k = k_;
  args.packed_b = data_->data();
  args.packed = packed_;
  if (bf16_ == nullptr) return gemm_.gemm(args, pool);
  bf16_->gemm({.m = args.m,
               .n = n_,
               .k = k_,
               .a = args.a,
               .a_row = args.a_row,
               .a_column = args.a_column,
               .packed_b = args.packed_b,
               .c = args.c,
               .c_row = args.c_row,
               .epilogue = args.epilogue},
              pool);
}

kernels::GemmEpilogue gemm_epilogue(const Epilogue& epilogue, const Tensor& residual, int64_t m,
                                    int64_t n) {
  kernels::GemmEpilogue result;
  if (epilogue.bias.defined()) {
    TERCEL_CHECK(epilogue.bias.dtype() == Dtype::f32 && epilogue.bias.size() == n);
    result.bias = elements<float>(epilogue.bias);
  }
  result.activation = to_kernel(epilogue.activation);
  if (epilogue.residual) {
    TERCEL_CHECK(residual.dtype() == Dtype::f32 && residual.size() == m * n);
    result.residual = elements<float>(residual);
    result.residual_stride = n;
  }
  return result;
}

}  // namespace tercel::ops
