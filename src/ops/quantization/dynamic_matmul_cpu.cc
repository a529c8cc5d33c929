#include <array>

#include "src/ops/math/packed_weight_cpu.h"
#include "src/ops/quantization/packed_bytes_cpu.h"
#include "src/ops/quantization/quantization_cpu.h"

namespace tercel::ops {
namespace {

// With its siblings: rows are quantised once for all of them.
class PackedKernel final : public CpuKernel {
 public:
  explicit PackedKernel(const KernelContext& context)
      : gemm_(kernels::gemm_int8_kernels(context.isa)) {
    add(context);
    for (const Sibling& sibling : context.siblings) add(context.of(sibling));
  }

  bool absorbs(int input) const override { return input == 1; }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    return gemm_.workspace(rows(inputs[0]), weights_[0].k(), threads);
  }

  void run(const KernelRun& run) const override {
    std::array<kernels::Int8GemmArgs, kMaxTogether> products;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      kernels::Int8GemmArgs& args = products[i];
      weights_[i].fill(args);
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
    weights_.emplace_back(context, *dequantized_constant(context, 1));
    epilogues_.push_back(context.epilogue);
  }
  static int64_t rows(const Shape& a) { return product(a, 0, static_cast<int>(a.size()) - 1); }

  const kernels::GemmInt8Kernels& gemm_;
  std::vector<PackedBytes> weights_;
  std::vector<Epilogue> epilogues_;
};

// As the function's body says, for weights that are not packed.
class PlainKernel final : public CpuKernel {
 public:
  explicit PlainKernel(const KernelContext& context)
      : gemm_(kernels::cpu_kernels(context.isa).gemm) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    const auto elements = static_cast<std::size_t>(element_count(inputs[0]));
    return workspace_bytes(gemm_.batched_gemm_workspace(threads)) + elements * sizeof(float);
  }

  void run(const KernelRun& run) const override {
    const int64_t k = run.inputs[1].shape()[0];
    const int64_t n = run.inputs[1].shape()[1];
    const int64_t m = n == 0 ? 0 : run.outputs[0].size() / n;
    auto* rounded = reinterpret_cast<float*>(
        run.workspace + workspace_bytes(gemm_.batched_gemm_workspace(run.pool.size())));
    run.pool.parallel_for(m, rows_per_grain(k), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        round_row(elements<float>(run.inputs[0]) + r * k, k, rounded + r * k);
    });
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
                        .workspace = run.workspace},
                       run.pool);
  }

 private:
  static void round_row(const float* row, int64_t k, float* out) {
    float low = 0, high = 0, poison = 0;
    for (int64_t i = 0; i < k; ++i) {
      low = std::min(low, row[i]);
      high = std::max(high, row[i]);
      poison += row[i] * 0;
    }
    const float range = std::max(high - low, 1e-30F);
    const float inverse = 255 / range;
    const float scale = range / 255 + poison;
    const float zero = std::nearbyint(-low * inverse);
    for (int64_t i = 0; i < k; ++i) {
      const float q = std::clamp(std::nearbyint(row[i] * inverse) + zero, 0.0F, 255.0F);
      out[i] = (q - zero) * scale;
    }
  }

  const kernels::GemmKernels& gemm_;
};

std::string refuse_weight(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  const auto weight = dequantized_constant(context, 1);
  if (!weight) return "the weight is not a dequantised constant";
  if (weight->values.shape()[0] > kernels::kInt8MaxK) return "sums of so many would overflow";
  if (weight->zero.defined()) {
    const auto* bytes = static_cast<const std::byte*>(weight->zero.data());
    if (std::any_of(bytes, bytes + weight->zero.size(), [](auto b) { return b != std::byte{0}; }))
      return "the weight has zero points";
  }
  if (weight->values.dtype() != Dtype::i8) return "the weight is not of signed bytes";
  return PackedBytes::refuse(*weight);
}

std::string refuse_packed(const KernelContext& context) {
  if (context.siblings.size() >= kMaxTogether) return "too many products for one step";
  std::string reason = refuse_weight(context);
  for (const Sibling& sibling : context.siblings) {
    if (reason.empty()) reason = refuse_weight(context.of(sibling));
  }
  return reason;
}

std::string refuse_plain(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  const ir::Type* weight = context.facts.type(context.node.input(1));
  const bool matrix = weight != nullptr && weight->dims && weight->rank() == 2;
  return matrix ? std::string() : "the weight is not a matrix";
}

}  // namespace

const CpuImplementation kDynamicMatMulCpu[2] = {
    {"gemm_int8_dynamic", refuse_packed, create_kernel<PackedKernel>, true, false, true},
    {"gemm_f32_rounded", refuse_plain, create_kernel<PlainKernel>}};

}  // namespace tercel::ops
