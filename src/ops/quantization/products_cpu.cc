#include "src/ops/quantization/products_cpu.h"

#include "src/ops/math/matmul_shape_cpu.h"

namespace tercel::ops {
namespace {

// Rows of n sums, scaled and rounded to the output's type.
void requantize(const KernelRun& run, const Places& places, const kernels::QuantizeKernels& kernels,
                const int32_t* sums, int64_t rows, int64_t n) {
  const int64_t x_scales = run.inputs[places.x_scale].size();
  const int64_t different = x_scales == 1 ? 1 : rows;
  std::vector<float> scales(static_cast<std::size_t>(different * n));
  for (int64_t i = 0; i < different; ++i)
    output_scales(
        run, places, i % x_scales,
        std::span(scales).subspan(static_cast<std::size_t>(i * n), static_cast<std::size_t>(n)));
  Tensor& y = run.outputs[0];
  kernels.requantize({.rows = rows,
                      .columns = n,
                      .sums = sums,
                      .bias = bias_of(run, places),
                      .scales = scales.data(),
                      .scales_row = different == 1 ? 0 : n,
                      .bytes = y.data(),
                      .type = byte_type(y.dtype(), PerIndex(run, places.y_zero, 0).integer(0))},
                     run.pool);
}

// The right factor is a constant matrix.
class PackedMatMulKernel final : public CpuKernel {
 public:
  explicit PackedMatMulKernel(const KernelContext& context)
      : gemm_(kernels::gemm_int8_kernels(context.isa)),
        quantize_(kernels::cpu_kernels(context.isa).quantize),
        places_(context.node.is("QLinearMatMul") ? kLinear : kInteger),
        weight_(context, *constant_factor(context, places_)) {}

  bool absorbs(int input) const override {
    return static_cast<std::size_t>(input) == places_.w ||
           static_cast<std::size_t>(input) == places_.w_zero;
  }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int threads) const override {
    const Sizes sizes(*this, inputs[0], element_count(outputs[0]), threads);
    return sizes.zeros + sizes.sums + sizes.gemm;
  }

  void run(const KernelRun& run) const override {
    const Tensor& a = run.inputs[places_.x];
    Tensor& out = run.outputs[0];
    const Sizes sizes(*this, a.shape(), out.size(), run.pool.size());
    auto* zeros = reinterpret_cast<int32_t*>(run.workspace + sizes.gemm);
    auto* sums = is_linear() ? reinterpret_cast<int32_t*>(run.workspace + sizes.gemm + sizes.zeros)
                             : elements<int32_t>(out);
    const PerIndex a_zero(run, places_.x_zero, 0);
    for (int64_t i = 0; i < sizes.rows; ++i) zeros[i] = a_zero.integer(i % a_zero.size());
    kernels::Int8GemmArgs args;
    weight_.fill(args);
    args.m = sizes.rows;
    args.a_bytes = a.data();
    args.a_signed = a.dtype() == Dtype::i8;
    args.a_zero = zeros;
    args.a_row = args.k;
    args.sums = sums;
    args.c_row = args.n;
    args.workspace = run.workspace;
    gemm_.gemm(args, run.pool);
    if (is_linear()) requantize(run, places_, quantize_, sums, sizes.rows, weight_.n());
  }

 private:
  struct Sizes {
    Sizes(const PackedMatMulKernel& kernel, const Shape& a, int64_t outputs, int threads)
        : rows(product(a, 0, static_cast<int>(a.size()) - 1)),
          gemm(workspace_bytes(kernel.gemm_.workspace(rows, kernel.weight_.k(), threads))),
          zeros(workspace_bytes(static_cast<std::size_t>(rows) * sizeof(int32_t))),
          sums(kernel.is_linear() ? static_cast<std::size_t>(outputs) * sizeof(int32_t) : 0) {}
    int64_t rows;
    std::size_t gemm, zeros, sums;
  };

  bool is_linear() const { return places_.y_scale != kNone; }

  const kernels::GemmInt8Kernels& gemm_;
  const kernels::QuantizeKernels& quantize_;
  Places places_;
  PackedBytes weight_;
};

class MatMulKernel final : public CpuKernel {
 public:
  explicit MatMulKernel(const KernelContext& context)
      : places_(context.node.is("QLinearMatMul") ? kLinear : kInteger) {}

  void run(const KernelRun& run) const override {
    const Tensor& a = run.inputs[places_.x];
    const Tensor& b = run.inputs[places_.w];
    const MatmulShape shape(a.shape(), b.shape());
    const PerIndex a_zero(run, places_.x_zero, 0);
    const PerIndex b_zero(run, places_.w_zero, 0);
    const Finish finish(run, places_);
    const bool stacked_a = per_stack(run, places_.x_zero, shape.m);
    const bool stacked_b = per_stack(run, places_.w_zero, shape.n);
    dispatch_factors(run, places_, [&](auto a_tag, auto b_tag) {
      using A = typename decltype(a_tag)::type;
      using B = typename decltype(b_tag)::type;
      shape.for_each([&](int64_t item, int64_t at_a, int64_t at_b) {
        const A* x = elements<A>(a) + at_a * shape.m * shape.k;
        const B* w = elements<B>(b) + at_b * shape.k * shape.n;
        run.pool.parallel_for(
            shape.m * shape.n, rows_per_grain(shape.k), [&](int64_t begin, int64_t end) {
              for (int64_t i = begin; i < end; ++i) {
                const int64_t row = i / shape.n + (stacked_a ? at_a * shape.m : 0);
                const int64_t column = i % shape.n + (stacked_b ? at_b * shape.n : 0);
                const int32_t za = a_zero.integer(row);
                const int32_t zb = b_zero.integer(column);
                uint32_t sum = 0;
                for (int64_t k = 0; k < shape.k; ++k) {
                  add_product(sum, x[i / shape.n * shape.k + k] - za,
                              w[k * shape.n + i % shape.n] - zb);
                }
                finish.put(run.outputs[0], item * shape.m * shape.n + i, static_cast<int32_t>(sum),
                           row, column);
              }
            });
      });
    });
  }

 private:
  // A zero point for each row of a whole stack of matrices.
  static bool per_stack(const KernelRun& run, std::size_t index, int64_t rows) {
    return index < run.inputs.size() && run.inputs[index].defined() &&
           run.inputs[index].size() > rows;
  }

  Places places_;
};

std::string refuse_packed_products(const KernelContext& context) {
  if (std::string reason = refuse_bytes(context); !reason.empty()) return reason;
  const Places& places = context.node.is("QLinearMatMul") ? kLinear : kInteger;
  const ir::Type* a = context.facts.type(context.node.input(0));
  if (a == nullptr || !a->dims || a->rank() == 0) return "the rank is not known";
  const auto factor = constant_factor(context, places);
  if (!factor) return "the right factor is not constant";
  return factor->values.rank() == 2 ? PackedBytes::refuse(*factor)
                                    : "the right factor is not a matrix";
}

}  // namespace

const CpuImplementation kMatMulIntegerCpu[2] = {
    {"gemm_int8", refuse_packed_products, create_kernel<PackedMatMulKernel>},
    {"matmul_integer", refuse_bytes, create_kernel<MatMulKernel>}};

}  // namespace tercel::ops
