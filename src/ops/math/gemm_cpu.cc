#include "src/ops/math/elementwise_f32_cpu.h"
#include "src/ops/math/math_cpu.h"
#include "src/ops/math/naive_product_cpu.h"
#include "src/ops/math/packed_weight_cpu.h"

namespace tercel::ops {
namespace {

struct Attributes {
  explicit Attributes(const ir::Node& node)
      : alpha(node.float_or("alpha", 1.0F)),
        beta(node.float_or("beta", 1.0F)),
        a_transposed(node.int_or("transA", 0) != 0),
        b_transposed(node.int_or("transB", 0) != 0) {}

  float alpha, beta;
  bool a_transposed, b_transposed;
};

bool has_addend(const KernelRun& run) { return run.inputs.size() > 2 && run.inputs[2].defined(); }

// The weight is constant, and C, if any, is a bias.
class GemmPackedKernel final : public CpuKernel {
 public:
  explicit GemmPackedKernel(const KernelContext& context)
      : attributes_(context.node),
        weight_(context, 1, attributes_.b_transposed),
        has_bias_(context.node.input(2) != nullptr),
        epilogue_(context.epilogue) {}

  bool absorbs(int input) const override { return input == 1; }

  std::size_t workspace(std::span<const Shape>, std::span<const Shape> outputs,
                        int threads) const override {
    return weight_.workspace(outputs[0][0], threads);
  }

  void run(const KernelRun& run) const override {
    kernels::GemmArgs args;
    args.workspace = run.workspace;
    args.m = run.outputs[0].shape()[0];
    args.a = elements<float>(run.inputs[0]);
    args.a_row = attributes_.a_transposed ? 1 : weight_.k();
    args.a_column = attributes_.a_transposed ? args.m : 1;
    args.c = elements<float>(run.outputs[0]);
    args.c_row = weight_.n();
    args.epilogue = gemm_epilogue(epilogue_, run.inputs.back(), args.m, weight_.n());
    if (has_bias_) args.epilogue.bias = elements<float>(run.inputs[2]);
    weight_.multiply(args, run.pool);
  }

 private:
  Attributes attributes_;
  PackedWeight weight_;
  bool has_bias_;
  Epilogue epilogue_;
};

// A product by a packed weight and one row.
std::string refuse_scaled(const KernelContext& context) {
  const Attributes attributes(context.node);
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  if (attributes.alpha != 1.0F) return "alpha is not 1";
  const ir::Value* c = context.node.input(2);
  if (c == nullptr) return {};
  if (attributes.beta != 1.0F) return "beta is not 1";
  if (context.epilogue.bias.defined()) return "has a bias already";
  const ir::Type* weight = context.facts.type(context.node.input(1));
  if (weight == nullptr || !weight->dims || weight->rank() != 2) return "the weight is no matrix";
  const ir::Dim& n = (*weight->dims)[attributes.b_transposed ? 0 : 1];
  const ir::Type* type = context.facts.type(c);
  const bool is_bias = type != nullptr && type->has_rank() && type->rank() > 0 && n.known() &&
                       type->dims->back() == n &&
                       (type->rank() == 1 || type->dims->front() == ir::Dim(1));
  return is_bias ? std::string() : "C is not one row";
}

std::string refuse_packed_gemm(const KernelContext& context) {
  const std::string reason = PackedWeight::refuse(context, 1);
  return reason.empty() ? refuse_scaled(context) : reason;
}

std::string refuse_grouped(const KernelContext& context) {
  const bool transposed = Attributes(context.node).b_transposed;
  const std::string reason = PackedWeight::refuse_grouped(context, 1, transposed);
  return reason.empty() ? refuse_scaled(context) : reason;
}

std::string refuse_bf16_gemm(const KernelContext& context) {
  const std::string reason = PackedWeight::refuse_bf16(context);
  return reason.empty() ? refuse_packed_gemm(context) : reason;
}

// y = alpha * y + beta * c, element by element.
template <class T>
void add_scaled(const KernelRun& run, const Attributes& attributes) {
  Tensor& out = run.outputs[0];
  if (has_addend(run)) {
    map_binary<T, T, T>(out, run.inputs[2], out, run.pool, [&](auto y, auto c) {
      if constexpr (std::is_integral_v<T>) {
        return static_cast<T>(attributes.alpha * static_cast<double>(y) +
                              attributes.beta * static_cast<double>(c));
      } else {
        return static_cast<ComputeType<T>>(attributes.alpha) * y +
               static_cast<ComputeType<T>>(attributes.beta) * c;
      }
    });
  } else if (attributes.alpha != 1.0F) {
    map_unary<T, T>(out, out, run.pool,
                    [&](auto y) { return static_cast<ComputeType<T>>(attributes.alpha * y); });
  }
}

class GeneralKernel final : public CpuKernel {
 public:
  explicit GeneralKernel(const KernelContext& context)
      : gemm_(kernels::cpu_kernels(context.isa).gemm), attributes_(context.node) {}

  std::size_t workspace(std::span<const Shape>, std::span<const Shape>,
                        int threads) const override {
    return gemm_.batched_gemm_workspace(threads);
  }
  void run(const KernelRun& run) const override {
    const Shape& b = run.inputs[1].shape();
    const int64_t m = run.outputs[0].shape()[0];
    const int64_t n = run.outputs[0].shape()[1];
    const int64_t k = b[attributes_.b_transposed ? 1 : 0];
    gemm_.batched_gemm({.batch = 1,
                        .m = m,
                        .n = n,
                        .k = k,
                        .a = elements<float>(run.inputs[0]),
                        .a_row = attributes_.a_transposed ? 1 : k,
                        .a_column = attributes_.a_transposed ? m : 1,
                        .b = elements<float>(run.inputs[1]),
                        .b_k = attributes_.b_transposed ? 1 : n,
                        .b_n = attributes_.b_transposed ? k : 1,
                        .c = elements<float>(run.outputs[0]),
                        .c_row = n,
                        .workspace = run.workspace},
                       run.pool);
    add_scaled<float>(run, attributes_);
  }

 private:
  const kernels::GemmKernels& gemm_;
  Attributes attributes_;
};

class GemmNaiveKernel final : public CpuKernel {
 public:
  explicit GemmNaiveKernel(const KernelContext& context) : attributes_(context.node) {}

  void run(const KernelRun& run) const override {
    const int64_t m = run.outputs[0].shape()[0];
    const int64_t n = run.outputs[0].shape()[1];
    const int64_t k = run.inputs[1].shape()[attributes_.b_transposed ? 1 : 0];
    dispatch_dtype(ProductTypes{}, run.outputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      naive_product<T>({.m = m,
                        .n = n,
                        .k = k,
                        .a = elements<T>(run.inputs[0]),
                        .a_row = attributes_.a_transposed ? 1 : k,
                        .a_column = attributes_.a_transposed ? m : 1,
                        .b = elements<T>(run.inputs[1]),
                        .b_row = attributes_.b_transposed ? 1 : n,
                        .b_column = attributes_.b_transposed ? k : 1,
                        .c = elements<T>(run.outputs[0])},
                       run.pool);
      add_scaled<T>(run, attributes_);
    });
  }

 private:
  Attributes attributes_;
};

template <class Kernel>
std::unique_ptr<CpuKernel> create_gemm(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kGemmImplementations[] = {
    {"gemm_bf16_packed", refuse_bf16_gemm, create_gemm<GemmPackedKernel>, true},
    {"gemm_f32_packed", refuse_packed_gemm, create_gemm<GemmPackedKernel>, true},
    {"gemm_f32_grouped", refuse_grouped, create_gemm<GemmPackedKernel>, true},
    {"gemm_f32_general", refuse_unless_f32, create_gemm<GeneralKernel>},
    {"gemm_naive", refuse_input0<ProductTypes>, create_gemm<GemmNaiveKernel>}};
constexpr CpuOp kGemmOps[] = {{"", "Gemm", kGemmImplementations}};

}  // namespace

CpuFamily gemm_cpu_ops() { return kGemmOps; }

}  // namespace tercel::ops
