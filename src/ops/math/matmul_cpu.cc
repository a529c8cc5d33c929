#include <algorithm>
#include <array>

#include "src/ops/math/math_cpu.h"
#include "src/ops/math/matmul_shape_cpu.h"
#include "src/ops/math/naive_product_cpu.h"
#include "src/ops/math/packed_weight_cpu.h"

namespace tercel::ops {

MatmulShape::MatmulShape(const Shape& a, const Shape& b) {
  const auto leading = [](const Shape& shape) {
    return shape.size() > 2 ? Shape(shape.begin(), shape.end() - 2) : Shape();
  };
  k = a.back();
  if (a.size() > 1) m = a[a.size() - 2];
  if (b.size() > 1) n = b.back();
  a_batch = leading(a);
  b_batch = leading(b);
  const std::size_t rank = std::max(a_batch.size(), b_batch.size());
  for (std::size_t i = 0; i < rank; ++i) {
    const auto size = [&](const Shape& shape) {
      const std::size_t missing = rank - shape.size();
      return i < missing ? int64_t{1} : shape[i - missing];
    };
    const int64_t x = size(a_batch);
    batch.push_back(x == 1 ? size(b_batch) : x);
  }
  batches = element_count(batch);
}

namespace {

// With its siblings.
class MatmulPackedKernel final : public CpuKernel {
 public:
  explicit MatmulPackedKernel(const KernelContext& context) : rounding_(context.rounding) {
    add(context);
    for (const Sibling& sibling : context.siblings) add(context.of(sibling));
  }

  bool absorbs(int input) const override { return input == 1; }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    return weights_[0].workspace(rows(inputs[0]), threads);
  }

  void run(const KernelRun& run) const override {
    std::array<kernels::GemmArgs, kMaxTogether> products;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      kernels::GemmArgs& args = products[i];
      args.m = rows(run.inputs[0].shape());
      args.a = elements<float>(run.inputs[0]);
      args.a_row = weights_[0].k();
      args.c = elements<float>(run.outputs[i]);
      args.c_row = weights_[i].n();
      args.epilogue = gemm_epilogue(epilogues_[i], run.inputs.back(), args.m, weights_[i].n());
      args.workspace = run.workspace;
    }
    PackedWeight::multiply_together(weights_, {products.data(), weights_.size()}, rounding_,
                                    run.pool);
  }

 private:
  void add(const KernelContext& context) {
    weights_.emplace_back(context, 1, false);
    epilogues_.push_back(context.epilogue);
  }
  static int64_t rows(const Shape& a) { return product(a, 0, static_cast<int>(a.size()) - 1); }

  Rounding rounding_;
  std::vector<PackedWeight> weights_;
  std::vector<Epilogue> epilogues_;
};

// Both factors are activations.
class BatchedKernel final : public CpuKernel {
 public:
  explicit BatchedKernel(const KernelContext& context)
      : gemm_(kernels::cpu_kernels(context.isa).gemm) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    const MatmulShape shape(inputs[0], inputs[1]);
    return scratch(threads) + 2 * static_cast<std::size_t>(shape.batches) * sizeof(int64_t);
  }

  void run(const KernelRun& run) const override {
    MatmulShape shape(run.inputs[0].shape(), run.inputs[1].shape());
    if (std::all_of(shape.b_batch.begin(), shape.b_batch.end(), [](auto d) { return d == 1; }))
      fold_into_rows(shape, run.inputs[0].shape());
    auto* a_offsets = reinterpret_cast<int64_t*>(run.workspace + scratch(run.pool.size()));
    int64_t* b_offsets = a_offsets + shape.batches;
    shape.for_each([&](int64_t i, int64_t a, int64_t b) {
      a_offsets[i] = a * shape.m * shape.k;
      b_offsets[i] = b * shape.k * shape.n;
    });
    gemm_.batched_gemm({.batch = shape.batches,
                        .m = shape.m,
                        .n = shape.n,
                        .k = shape.k,
                        .a = elements<float>(run.inputs[0]),
                        .a_offsets = a_offsets,
                        .a_row = shape.k,
                        .b = elements<float>(run.inputs[1]),
                        .b_offsets = b_offsets,
                        .b_k = shape.n,
                        .c = elements<float>(run.outputs[0]),
                        .c_batch = shape.m * shape.n,
                        .c_row = shape.n,
                        .workspace = run.workspace},
                       run.pool);
  }

 private:
  std::size_t scratch(int threads) const {
    return (gemm_.batched_gemm_workspace(threads) + 63) / 64 * 64;
  }
  // One matrix on the right serves all rows on the left.
  static void fold_into_rows(MatmulShape& shape, const Shape& a) {
    shape.m = a.size() > 1 ? product(a, 0, static_cast<int>(a.size()) - 1) : 1;
    shape.batch = shape.a_batch = shape.b_batch = {};
    shape.batches = 1;
  }
  const kernels::GemmKernels& gemm_;
};

class MatmulNaiveKernel final : public CpuKernel {
 public:
  void run(const KernelRun& run) const override {
    const MatmulShape shape(run.inputs[0].shape(), run.inputs[1].shape());
    dispatch_dtype(ProductTypes{}, run.outputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      shape.for_each([&](int64_t i, int64_t a, int64_t b) {
        naive_product<T>({.m = shape.m,
                          .n = shape.n,
                          .k = shape.k,
                          .a = elements<T>(run.inputs[0]) + a * shape.m * shape.k,
                          .a_row = shape.k,
                          .b = elements<T>(run.inputs[1]) + b * shape.k * shape.n,
                          .b_row = shape.n,
                          .c = elements<T>(run.outputs[0]) + i * shape.m * shape.n},
                         run.pool);
      });
    });
  }
};

std::string refuse_packed_matmul(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  if (std::string reason = PackedWeight::refuse(context, 1); !reason.empty()) return reason;
  return PackedWeight::refuse_together(context, 1);
}

std::string refuse_grouped_matmul(const KernelContext& context) {
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  if (std::string reason = PackedWeight::refuse_grouped(context, 1, false); !reason.empty())
    return reason;
  return PackedWeight::refuse_together(context, 1);
}

std::string refuse_bf16_matmul(const KernelContext& context) {
  if (std::string reason = PackedWeight::refuse_bf16(context); !reason.empty()) return reason;
  if (std::string reason = PackedWeight::refuse_rounding(context, 1); !reason.empty())
    return reason;
  return refuse_packed_matmul(context);
}

std::unique_ptr<CpuKernel> create_packed(const KernelContext& context) {
  return std::make_unique<MatmulPackedKernel>(context);
}
std::unique_ptr<CpuKernel> create_batched(const KernelContext& context) {
  return std::make_unique<BatchedKernel>(context);
}
std::unique_ptr<CpuKernel> create_naive(const KernelContext&) {
  return std::make_unique<MatmulNaiveKernel>();
}

constexpr CpuImplementation kMatmulImplementations[] = {
    {"gemm_bf16_packed", refuse_bf16_matmul, create_packed, true, false, true, true},
    {"gemm_f32_packed", refuse_packed_matmul, create_packed, true, false, true},
    {"gemm_f32_grouped", refuse_grouped_matmul, create_packed, true, false, true},
    {"gemm_f32_batched", refuse_unless_f32, create_batched},
    {"gemm_naive", refuse_input0<ProductTypes>, create_naive}};
constexpr CpuOp kMatmulOps[] = {{"", "MatMul", kMatmulImplementations}};

}  // namespace

CpuFamily matmul_cpu_ops() { return kMatmulOps; }

}  // namespace tercel::ops
