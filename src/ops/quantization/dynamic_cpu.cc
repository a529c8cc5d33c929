#include <array>

#include "src/ops/math/packed_weight_cpu.h"
#include "src/ops/nn/conv_cpu.h"
#include "src/ops/quantization/grouped_weight_cpu.h"
#include "src/ops/quantization/packed_bytes_cpu.h"
#include "src/ops/quantization/quantization.h"
#include "src/ops/quantization/quantization_cpu.h"

namespace tercel::ops {
namespace {

// What rows of 8 bits are multiplied by: weights of 8 bits, and of 4 in blocks.
struct EightBits {
  using Weight = PackedBytes;
  using Args = kernels::Int8GemmArgs;
  static const auto& gemm(CpuIsa isa) { return kernels::gemm_int8_kernels(isa); }
  static Weight pack(const KernelContext& context) {
    return {context, *dequantized_constant(context, 1)};
  }
  static int64_t k(const Weight& weight) { return weight.k(); }
  static void fill(const Weight& weight, Args& args) { weight.fill(args); }
};

struct FourBits {
  static_assert(kernels::kInt4Block == kQuantizedBlock);
  using Weight = GroupedWeight;
  using Args = kernels::Int4GemmArgs;
  static const auto& gemm(CpuIsa isa) { return kernels::gemm_int4_kernels(isa); }
  static Weight pack(const KernelContext& context) {
    return pack_int4(context, *dequantized_matrix(context, 1));
  }
  static int64_t k(const Weight& weight) { return weight.k; }
  static void fill(const Weight& weight, Args& args) {
    args.n = weight.n;
    args.k = weight.k;
    args.packed_b = weight.data->data();
  }
};

// With its siblings: rows are quantised once for all of them.
template <class Bits>
class DynamicPackedKernel final : public CpuKernel {
 public:
  explicit DynamicPackedKernel(const KernelContext& context) : gemm_(Bits::gemm(context.isa)) {
    add(context);
    for (const Sibling& sibling : context.siblings) add(context.of(sibling));
  }

  bool absorbs(int input) const override { return input == 1; }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    return gemm_.workspace(rows(inputs[0]), Bits::k(weights_[0]), threads);
  }

  void run(const KernelRun& run) const override {
    std::array<typename Bits::Args, kMaxTogether> products;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      auto& args = products[i];
      Bits::fill(weights_[i], args);
      args.m = rows(run.inputs[0].shape());
      args.a = elements<float>(run.inputs[0]);
      args.a_row = args.k;
      args.c = elements<float>(run.outputs[i]);
      args.c_row = args.n;
      args.epilogue = gemm_epilogue(epilogues_[i], run.inputs.back(), args.m, args.n);
      args.workspace = run.workspace;
      if (i > 0) products[i - 1].also = &args;
    }
    gemm_.gemm(products[0], run.pool);
  }

 private:
  void add(const KernelContext& context) {
    weights_.push_back(Bits::pack(context));
    epilogues_.push_back(context.epilogue);
  }
  static int64_t rows(const Shape& a) { return product(a, 0, static_cast<int>(a.size()) - 1); }

  decltype(Bits::gemm(CpuIsa::generic)) gemm_;
  std::vector<typename Bits::Weight> weights_;
  std::vector<Epilogue> epilogues_;
};

// Rows of k elements as they are after rounding.
void round_rows(const Tensor& rows, int64_t k, float* out, ThreadPool& pool) {
  const auto round_row = [](const float* row, int64_t count, float* to) {
    float low = 0, high = 0, poison = 0;
    for (int64_t i = 0; i < count; ++i) {
      low = std::min(low, row[i]);
      high = std::max(high, row[i]);
      poison += row[i] * 0;
    }
    const float range = std::max(high - low, 1e-30F);
    const float inverse = 255 / range;
    const float scale = range / 255 + poison;
    const float zero = std::nearbyint(-low * inverse);
    for (int64_t i = 0; i < count; ++i) {
      const float q = std::clamp(std::nearbyint(row[i] * inverse) + zero, 0.0F, 255.0F);
      to[i] = (q - zero) * scale;
    }
  };
  const int64_t count = k == 0 ? 0 : rows.size() / k;
  pool.parallel_for(count, rows_per_grain(k), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) round_row(elements<float>(rows) + r * k, k, out + r * k);
  });
}

// Blocks of rows as they are after rounding.
void round_blocks(const Tensor& rows, int64_t /*k*/, float* out, ThreadPool& pool) {
  constexpr int64_t kBlock = kQuantizedBlock;
  const auto* all = elements<float>(rows);
  pool.parallel_for(rows.size() / kBlock, rows_per_grain(kBlock), [&](int64_t begin, int64_t end) {
    for (int64_t first = begin * kBlock; first < end * kBlock; first += kBlock) {
      float range = 1e-30F, poison = 0;
      for (int64_t i = first; i < first + kBlock; ++i) {
        range = std::max(range, std::abs(all[i]));
        poison += all[i] * 0;
      }
      const float scale = range / 127 + poison;
      for (int64_t i = first; i < first + kBlock; ++i)
        out[i] = std::nearbyint(all[i] * (127 / range)) * scale;
    }
  });
}

std::size_t rounded_bytes(const Shape& rows) {
  return workspace_bytes(bytes_of(Dtype::f32, element_count(rows)));
}

// As the functions' bodies say, for weights that are not packed.
template <auto ROUND>
class PlainKernel final : public CpuKernel {
 public:
  explicit PlainKernel(const KernelContext& context)
      : gemm_(kernels::cpu_kernels(context.isa).gemm) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    return rounded_bytes(inputs[0]) + gemm_.batched_gemm_workspace(threads);
  }

  void run(const KernelRun& run) const override {
    const int64_t k = run.inputs[1].shape()[0];
    const int64_t n = run.inputs[1].shape()[1];
    const int64_t m = n == 0 ? 0 : run.outputs[0].size() / n;
    auto* rounded = reinterpret_cast<float*>(run.workspace);
    ROUND(run.inputs[0], k, rounded, run.pool);
    gemm_.batched_gemm({.batch = 1,
                        .m = m,
                        .n = n,
                        .k = k,
                        .a = rounded,
                        .a_row = k,
                        .b = elements<float>(run.inputs[1]),
                        .b_k = n,
                        .c = elements<float>(run.outputs[0]),
                        .c_row = n,
                        .workspace = run.workspace + rounded_bytes(run.inputs[0].shape())},
                       run.pool);
  }

 private:
  const kernels::GemmKernels& gemm_;
};

class PlainConvKernel final : public CpuKernel {
 public:
  explicit PlainConvKernel(const KernelContext& context)
      : conv_(kernels::cpu_kernels(context.isa).conv), settings_(context) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    return rounded_bytes(inputs[0]) + conv_.workspace(threads);
  }

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    if (run.outputs[0].size() == 0) return;
    auto* rounded = reinterpret_cast<float*>(run.workspace);
    round_rows(x, x.size() / x.shape()[0], rounded, run.pool);
    kernels::ConvArgs args =
        settings_.sizes(x.shape(), run.inputs[1].shape(), run.outputs[0].shape());
    args.x = rounded;
    args.w = elements<float>(run.inputs[1]);
    args.bias = elements<float>(run.inputs[2]);
    args.y = elements<float>(run.outputs[0]);
    args.workspace = run.workspace + rounded_bytes(x.shape());
    conv_.conv(args, run.pool);
  }

 private:
  const kernels::ConvKernels& conv_;
  ConvSettings settings_;
};

std::string refuse_weight(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  const auto weight = dequantized_constant(context, 1);
  if (!weight) return "the weight is not a dequantised constant";
  if (weight->values.rank() != 2) return "the weight is not a matrix";
  if (weight->values.shape()[0] > kernels::kInt8MaxK) return "sums of so many would overflow";
  if (weight->zero.defined()) {
    const auto* bytes = static_cast<const std::byte*>(weight->zero.data());
    if (std::any_of(bytes, bytes + weight->zero.size(), [](auto b) { return b != std::byte{0}; }))
      return "the weight has zero points";
  }
  if (weight->values.dtype() != Dtype::i8) return "the weight is not of signed bytes";
  return PackedBytes::refuse(*weight);
}

std::string refuse_int4_weight(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  const auto weight = dequantized_matrix(context, 1);
  return weight ? refuse_int4(*weight) : "the weight is not a dequantised constant";
}

template <auto REFUSE_WEIGHT>
std::string refuse_packed_dynamic(const KernelContext& context) {
  if (context.siblings.size() >= kMaxTogether) return "too many products for one step";
  std::string reason = REFUSE_WEIGHT(context);
  for (const Sibling& sibling : context.siblings) {
    if (reason.empty()) reason = REFUSE_WEIGHT(context.of(sibling));
  }
  return reason;
}

std::string refuse_plain(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  const ir::Type* weight = context.facts.type(context.node.input(1));
  const bool matrix = weight != nullptr && weight->dims && weight->rank() == 2;
  return matrix ? std::string() : "the weight is not a matrix";
}

std::string refuse_plain_conv(const KernelContext& context) {
  const std::string reason = refuse_unless_f32(context);
  return reason.empty() ? refuse_many_dimensions(context) : reason;
}

}  // namespace

const CpuImplementation kBlockMatMulCpu[2] = {
    {"gemm_int4_dynamic", refuse_packed_dynamic<refuse_int4_weight>,
     create_kernel<DynamicPackedKernel<FourBits>>, true, false, true},
    {"gemm_f32_rounded", refuse_plain, create_kernel<PlainKernel<round_blocks>>}};
const CpuImplementation kDynamicConvCpu[2] = {
    {"conv_int8_dynamic", refuse_conv_int8, create_packed_conv, true, true},
    {"conv_f32_rounded", refuse_plain_conv, create_kernel<PlainConvKernel>}};
const CpuImplementation kDynamicMatMulCpu[2] = {
    {"gemm_int8_dynamic", refuse_packed_dynamic<refuse_weight>,
     create_kernel<DynamicPackedKernel<EightBits>>, true, false, true},
    {"gemm_f32_rounded", refuse_plain, create_kernel<PlainKernel<round_rows>>}};

}  // namespace tercel::ops
