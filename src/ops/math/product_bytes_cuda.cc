// Products with large constant weights in bytes, fp8 or int8: weights are rounded by output
// channels at load, what they are multiplied with by rows just before, or where it is made. All
// else stays f16.

#include <algorithm>

#include "src/ops/math/product_cuda.h"

namespace tercel::ops {
namespace {

constexpr int64_t kMultiple = 16;  // that sizes are of
constexpr int64_t kLeast = 128;    // of N and K: below, rounding A takes longer than is gained

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

// Rows of bytes, with the scale of each behind them all.
struct ByteRows {
  Dtype dtype;
  std::byte* data;
  int64_t rows, columns;

  static std::size_t bytes(int64_t rows, int64_t columns) {
    return static_cast<std::size_t>(rows) * (static_cast<std::size_t>(columns) + sizeof(float));
  }
  float* scales() const { return reinterpret_cast<float*>(data + rows * columns); }

  void fill(const void* x, Dtype type, cudaStream_t stream) const {
    cuda::quantize_rows({dtype, type, rows, columns, x, columns, data, scales()}, stream);
  }
};

// [count, K, N] as [count, N, K].
void transpose(const Tensor& from, Tensor& to, cudaStream_t stream) {
  const int64_t count = from.shape()[0], k = from.shape()[1], n = from.shape()[2];
  cuda::StridedCopyArgs args;
  args.element_bytes = element_bytes_of(from.dtype());
  args.dims = {3, {count, n, k}};
  args.in_strides = {3, {n * k, 1, n}};
  args.out_strides = {3, {n * k, k, 1}};
  args.in = from.data();
  args.out = to.data();
  cuda::strided_copy(args, stream);
}

class ByteWeightKernel final : public Kernel {
 public:
  explicit ByteWeightKernel(const KernelContext& context)
      : device_(*context.device),
        type_(context.input_dtype(0)),
        factors_(context.product_dtype),
        rounding_(context.rounding),
        residual_(context.epilogue.residual),
        activation_(to_device(context.epilogue.activation)) {
    const ProductConstants constants(context);
    bool transposed = constant_source(context, 1)->transposed;
    if (context.node.is("Gemm")) {
      transposed = transposed != (context.node.int_or("transB", 0) != 0);
      has_row_ = context.node.input(2) != nullptr;
    }
    keep_weights(context, constants.weights, transposed);
    if (constants.any_bias()) bias_ = keep_stacked(context, constants.biases, type_);
    if (const auto& norm = context.epilogue.norm) {
      scale_ = keep(context, norm->scale, type_);
      if (norm->bias.defined()) shift_ = keep(context, norm->bias, type_);
      epsilon_ = norm->epsilon;
    }
  }

  bool absorbs(int input) const override { return input == 1; }
  bool outputs_side_by_side() const override { return count_ > 1; }
  std::size_t workspace(std::span<const Shape>, std::span<const Shape> outputs,
                        int) const override {
    const int64_t rows = element_count(outputs[0]) / n_;
    return bytes_of_a(rows) + bytes_of_c(rows) + cuda::GemmLibrary::scratch(cuda::ByteGemmArgs{});
  }

  void run(const KernelRun& run) const override {
    const int64_t rows = run.outputs[0].size() / n_;
    std::byte* free = run.workspace;
    const ByteRows a = rows_of_a(run, rows, free);
    cuda::ByteGemmArgs args = sizes(a);
    free += bytes_of_a(rows);
    args.gemm.scratch = free + bytes_of_c(rows);
    args.gemm.scratch_bytes = cuda::GemmLibrary::scratch(args);
    args.gemm.c = rounding_.output ? free : run.outputs[0].data();
    const void* bias =
        has_row_ ? run.inputs[2].data() : data_of(bias_.defined() ? &bias_ : nullptr);
    const void* residual = residual_ ? run.inputs.back().data() : nullptr;
    args.gemm.epilogue = {bias, activation_, residual, n_, count_ > 1 && bias != nullptr ? n_ : 0};
    if (count_ > 1 && !set_distance(args.gemm, run.outputs)) return multiply_each(args, run);
    multiply(args, run);
    if (rounding_.output) {
      const ByteRows out{factors_, static_cast<std::byte*>(run.outputs[0].data()), rows, n_};
      out.fill(args.gemm.c, type_, stream_of(run));
    }
    if (scale_.defined()) normalize(args.gemm, run);
  }

 private:
  void keep_weights(const KernelContext& context, std::span<const Tensor> weights,
                    bool transposed) {
    Tensor kept = keep_stacked(context, weights, type_);
    context.uploads->wait();
    count_ = kept.shape()[0];
    n_ = kept.shape()[transposed ? 1 : 2];
    k_ = kept.shape()[transposed ? 2 : 1];
    const auto stream = device_.make_stream();
    const auto native = static_cast<cudaStream_t>(stream->native());
    device_.use();
    Tensor turned = kept;
    if (!transposed) {
      turned = allocate_tensor(type_, {count_, n_, k_}, context.memory, "weights");
      transpose(kept, turned, native);
    }
    const auto bytes = static_cast<int64_t>(ByteRows::bytes(count_ * n_, k_));
    weight_ = allocate_tensor(Dtype::u8, {bytes}, context.memory, "weights");
    weights_of(weight_).fill(turned.data(), type_, native);
    stream->synchronize();
  }
  ByteRows weights_of(const Tensor& memory) const {
    return {factors_, static_cast<std::byte*>(const_cast<void*>(memory.data())), count_ * n_, k_};
  }

  // Of the workspace: A, C before it is rounded, and what the product needs.
  std::size_t bytes_of_a(int64_t rows) const {
    return rounding_.input ? 0 : aligned(ByteRows::bytes(rows, k_));
  }
  std::size_t bytes_of_c(int64_t rows) const {
    return rounding_.output ? aligned(bytes_of(type_, rows * n_)) : 0;
  }

  ByteRows rows_of_a(const KernelRun& run, int64_t rows, std::byte* memory) const {
    const void* x = run.inputs[0].data();
    if (rounding_.input) return {factors_, static_cast<std::byte*>(const_cast<void*>(x)), rows, k_};
    const ByteRows a{factors_, memory, rows, k_};
    a.fill(x, type_, stream_of(run));
    return a;
  }

  cuda::ByteGemmArgs sizes(const ByteRows& a) const {
    const ByteRows b = weights_of(weight_);
    cuda::ByteGemmArgs args;
    args.factors = factors_;
    args.gemm.type = type_;
    args.gemm.m = a.rows;
    args.gemm.n = n_;
    args.gemm.k = k_;
    args.gemm.a = a.data;
    args.gemm.b = b.data;
    args.gemm.b_is_weight = true;
    args.gemm.c_row = n_;
    args.gemm.batch = count_;
    args.a_scales = a.scales();
    args.b_scales = b.scales();
    return args;
  }

  void multiply(const cuda::ByteGemmArgs& args, const KernelRun& run) const {
    cuda::GemmLibrary& library = gemm_library(device_);
    if (run.tune) library.tune(args, stream_of(run));
    library.gemm_bytes(args, stream_of(run));
  }

  void multiply_each(cuda::ByteGemmArgs args, const KernelRun& run) const {
    args.gemm.batch = 1;
    args.gemm.epilogue.bias_batch = 0;
    for (Tensor& output : run.outputs) {
      args.gemm.c = output.data();
      multiply(args, run);
      args.gemm.b = static_cast<const std::byte*>(args.gemm.b) + n_ * k_;
      args.b_scales += n_;
      if (const void*& bias = args.gemm.epilogue.bias; bias != nullptr)
        bias = static_cast<const std::byte*>(bias) + bytes_of(type_, n_);
    }
  }

  void normalize(const cuda::GemmArgs& product, const KernelRun& run) const {
    cuda::NormArgs args;
    args.type = type_;
    args.rows = product.m;
    args.columns = n_;
    args.x = args.y = product.c;
    args.x_row = args.y_row = n_;
    args.scale = scale_.data();
    args.shift = data_of(shift_.defined() ? &shift_ : nullptr);
    args.epsilon = epsilon_;
    cuda::norm(args, stream_of(run));
  }

  Device& device_;
  Dtype type_;     // of all but the factors
  Dtype factors_;  // f8e4m3fn or i8
  Rounding rounding_;
  bool residual_;
  bool has_row_ = false;
  cuda::Activation activation_;
  int64_t count_ = 1, n_ = 0, k_ = 0;
  Tensor weight_;  // ByteRows of [count, N, K]
  Tensor bias_;    // [count, N]
  Tensor scale_;   // of the norm; undefined: there is none
  Tensor shift_;
  float epsilon_ = 0.0F;
};

}  // namespace

std::string refuse_byte_weight(const KernelContext& context) {
  if (context.product_dtype == Dtype::undefined) return "products are not of bytes";
  if (std::string reason = refuse_together(context); !reason.empty()) return reason;
  const Shape shape = constant_source(context, 1)->tensor.shape();
  for (const int64_t size : shape) {
    if (size % kMultiple != 0 || size < kLeast)
      return fmt::format("the weight's sizes are {}: {} takes multiples of {} from {} on",
                         to_string(shape), to_string(context.product_dtype), kMultiple, kLeast);
  }
  if (context.node.is("Gemm") && context.node.float_or("alpha", 1.0F) != 1.0F)
    return "alpha is not 1";
  const Epilogue& epilogue = context.epilogue;
  if (context.rounding.output && (epilogue.residual || epilogue.norm || !context.siblings.empty()))
    return "gives rows of bytes from one product without residual and normalisation";
  return {};
}

std::unique_ptr<Kernel> create_byte_weight(const KernelContext& context) {
  return std::make_unique<ByteWeightKernel>(context);
}

}  // namespace tercel::ops
