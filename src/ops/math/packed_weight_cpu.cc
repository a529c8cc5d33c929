#include "src/ops/math/packed_weight_cpu.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "src/base/half.h"
#include "src/base/mapped_file.h"
#include "src/device/lasting_memory.h"
#include "src/ops/cpu_util.h"
#include "src/ops/quantization/grouped_weight_cpu.h"

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

std::string refuse_without_bf16(const KernelContext& context) {
  if (kernels::gemm_bf16_kernels(context.isa) != nullptr) return {};
  return fmt::format("{} does not multiply bf16", to_string(context.isa));
}

}  // namespace

std::string PackedWeight::refuse(const KernelContext& context, int index) {
  if (context.input_dtype(index) != Dtype::f32) return "the weight is not f32";
  const auto source = constant_source(context, index);
  if (!source) return "the weight is not a constant matrix";
  return refuse_dtype(Types<float, f16, bf16>{}, source->tensor.dtype());
}

std::string PackedWeight::refuse_grouped(const KernelContext& context, int index, bool transposed) {
  if (context.input_dtype(index) != Dtype::f32) return "the weight is not f32";
  const auto matrix = dequantized_matrix(context, index);
  if (!matrix) return "the weight is not dequantised from a constant matrix";
  return ops::refuse_grouped(*matrix, transposed);
}

std::string PackedWeight::refuse_together(const KernelContext& context, int index) {
  const auto grouped = dequantized_matrix(context, index);
  const auto refuse_one = [&](const KernelContext& one) {
    return grouped ? refuse_grouped(one, index, false) : refuse(one, index);
  };
  const auto type = [&](const KernelContext& one) {
    if (const auto matrix = dequantized_matrix(one, index))
      return grouped_dtype(matrix->values.dtype());
    return packed_dtype(constant_source(one, index)->tensor, context.weight_dtype);
  };
  if (context.siblings.size() >= kMaxTogether) return "too many products for one step";
  for (const Sibling& sibling : context.siblings) {
    const KernelContext other = context.of(sibling);
    if (std::string reason = refuse_one(other); !reason.empty()) return reason;
    if (type(other) != type(context)) return "the weights are not held in one type";
  }
  return {};
}

std::string PackedWeight::refuse_rounding(const KernelContext& context, int index) {
  if (!context.rounding.input && !context.rounding.output) return {};
  if (std::string reason = refuse_bf16(context); !reason.empty()) return reason;
  if (!context.rounding.output) return {};
  const auto source = constant_source(context, index);
  if (!source) return "the weight is not a constant matrix";
  const int64_t k = source->tensor.shape()[source->transposed ? 1 : 0];
  if (k > kernels::gemm_bf16_kernels(context.isa)->bf16_c_depth)
    return "sums of so many products are kept in f32";
  if (context.epilogue.norm || !context.siblings.empty())
    return "what is normalised, or computed with others, is kept in f32";
  return {};
}

std::string PackedWeight::refuse_bf16(const KernelContext& context) {
  if (context.weight_dtype != Dtype::bf16) return "the session's weights are not bf16";
  return refuse_without_bf16(context);
}

std::string PackedWeight::refuse_bf16_factors(const KernelContext& context) {
  if (context.weight_dtype != Dtype::bf16 && context.product_dtype == Dtype::undefined)
    return "the session's weights are kept in f32";
  return refuse_without_bf16(context);
}

PackedWeight::PackedWeight(const KernelContext& context, int index, bool transposed)
    : gemm_(kernels::cpu_kernels(context.isa).gemm) {
  if (const auto matrix = dequantized_matrix(context, index)) {
    GroupedWeight grouped = pack_grouped(context, *matrix, transposed);
    k_ = grouped.k;
    n_ = grouped.n;
    packed_ = grouped.packed;
    data_ = std::move(grouped.data);
    return;
  }
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
  data_ = allocate_lasting(context.memory, bytes, "packed weight");
  const kernels::PackBArgs args{.k = k_,
                                .n = n_,
                                .b = stored.data(),
                                .source = stored.dtype(),
                                .k_stride = swapped ? 1 : n_,
                                .n_stride = swapped ? k_ : 1,
                                .packed = packed_,
                                .out = data_->data()};
  (bf16_ != nullptr ? bf16_->pack_b : gemm_.pack_b)(args, context.pool);
  release_if_mapped({static_cast<const std::byte*>(stored.data()), stored.bytes()});
}

void PackedWeight::fill(kernels::GemmArgs& args) const {
  args.n = n_;
  args.k = k_;
  args.packed_b = data_->data();
  args.packed = packed_;
}

void PackedWeight::multiply(kernels::GemmArgs args, ThreadPool& pool) const {
  multiply_together({this, 1}, {&args, 1}, {}, pool);
}

void PackedWeight::multiply_together(std::span<const PackedWeight> weights,
                                     std::span<kernels::GemmArgs> args, const Rounding& rounding,
                                     ThreadPool& pool) {
  const PackedWeight& first = weights[0];
  std::array<kernels::GemmBf16Args, kMaxTogether> rounded;
  for (std::size_t i = 0; i < args.size(); ++i) {
    kernels::GemmArgs& one = args[i];
    weights[i].fill(one);
    TERCEL_CHECK(one.k == first.k_ && one.packed == first.packed_);
    one.also = i + 1 < args.size() ? &args[i + 1] : nullptr;
    rounded[i] = {.m = one.m,
                  .n = one.n,
                  .k = one.k,
                  .a = one.a,
                  .a_type = rounding.input ? Dtype::bf16 : Dtype::f32,
                  .a_row = one.a_row,
                  .a_column = one.a_column,
                  .packed_b = one.packed_b,
                  .c = one.c,
                  .c_type = rounding.output ? Dtype::bf16 : Dtype::f32,
                  .c_row = one.c_row,
                  .epilogue = one.epilogue,
                  .also = one.also != nullptr ? &rounded[i + 1] : nullptr};
  }
  if (first.bf16_ != nullptr) return first.bf16_->gemm(rounded[0], pool);
  first.gemm_.gemm(args[0], pool);
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
  if (const auto& norm = epilogue.norm) {
    TERCEL_CHECK(norm->scale.size() == n && (!norm->bias.defined() || norm->bias.size() == n));
    result.normalize = true;
    result.norm = {elements<float>(norm->scale),
                   norm->bias.defined() ? elements<float>(norm->bias) : nullptr, norm->epsilon};
  }
  return result;
}

}  // namespace tercel::ops
