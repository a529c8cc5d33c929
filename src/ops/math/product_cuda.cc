// MatMul and Gemm: a constant right side is held in the device's memory as it was stored.

#include "src/ops/math/product_cuda.h"

#include <algorithm>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"
#include "src/ops/math/matmul_shape_cpu.h"

namespace tercel::ops {

ProductConstants::ProductConstants(const KernelContext& context)
    : weights{constant_source(context, 1)->tensor}, biases{context.epilogue.bias} {
  for (const Sibling& sibling : context.siblings) {
    weights.push_back(constant_source(context.of(sibling), 1)->tensor);
    biases.push_back(sibling.epilogue.bias);
  }
}

bool ProductConstants::any_bias() const {
  return std::any_of(biases.begin(), biases.end(), [](const auto& bias) { return bias.defined(); });
}

bool set_distance(cuda::GemmArgs& args, std::span<Tensor> outputs) {
  const auto element = static_cast<std::ptrdiff_t>(bytes_of(args.type, 1));
  const auto from_last = [&](std::size_t i) {
    return static_cast<std::byte*>(outputs[i].data()) -
           static_cast<std::byte*>(outputs[i - 1].data());
  };
  const std::ptrdiff_t step = from_last(1);
  for (std::size_t i = 2; i < outputs.size(); ++i)
    if (from_last(i) != step) return false;
  args.c_batch = step / element;
  return step % element == 0 && args.c_batch >= args.m * args.n;
}

namespace {

class ProductKernel : public Kernel {
 public:
  explicit ProductKernel(const KernelContext& context)
      : device_(*context.device),
        type_(context.input_dtype(0)),
        batch_invariant_(context.batch_invariant) {}

 protected:
  void multiply(cuda::GemmArgs args, const KernelRun& run) const {
    args.type = type_;
    args.batch_invariant = batch_invariant_;
    args.scratch = run.workspace;
    args.scratch_bytes = cuda::GemmLibrary::scratch(args);
    if (run.tune) library().tune(args, stream_of(run));
    library().gemm(args, stream_of(run));
  }
  std::size_t scratch(cuda::GemmArgs args) const {
    args.type = type_;
    return cuda::GemmLibrary::scratch(args);
  }
  cuda::GemmLibrary& library() const { return gemm_library(device_); }
  Dtype type() const { return type_; }
  bool batch_invariant() const { return batch_invariant_; }

 private:
  Device& device_;
  Dtype type_;
  bool batch_invariant_;
};

// The right side is constant. C of a Gemm is a row that is added, if any. With its siblings, whose
// weights lie behind the node's: one product for each, in one call.
class WeightKernel final : public ProductKernel {
 public:
  explicit WeightKernel(const KernelContext& context)
      : ProductKernel(context),
        residual_(context.epilogue.residual),
        activation_(to_device(context.epilogue.activation)) {
    const ProductConstants constants(context);
    count_ = static_cast<int64_t>(constants.weights.size());
    weight_ = keep_stacked(context, constants.weights, type());
    if (constants.any_bias()) bias_ = keep_stacked(context, constants.biases, type());
    transposed_ = constant_source(context, 1)->transposed;
    if (context.node.is("Gemm")) {
      alpha_ = context.node.float_or("alpha", 1.0F);
      transposed_ = transposed_ != (context.node.int_or("transB", 0) != 0);
      has_row_ = context.node.input(2) != nullptr;
    }
    if (const auto& norm = context.epilogue.norm) {
      scale_ = keep(context, norm->scale, type());
      if (norm->bias.defined()) shift_ = keep(context, norm->bias, type());
      epsilon_ = norm->epsilon;
    }
  }

  bool absorbs(int input) const override { return input == 1; }
  bool outputs_side_by_side() const override { return count_ > 1; }
  std::size_t workspace(std::span<const Shape>, std::span<const Shape> outputs,
                        int) const override {
    const cuda::GemmArgs args = sizes(element_count(outputs[0]));
    if (!scale_.defined()) return scratch(args);
    cuda::GemmNormArgs normed;
    normed.gemm = args;
    return cuda::GemmLibrary::scratch(normed);
  }
  void run(const KernelRun& run) const override {
    cuda::GemmArgs args = sizes(run.outputs[0].size());
    args.a = run.inputs[0].data();
    args.c = run.outputs[0].data();
    args.epilogue.bias =
        has_row_ ? run.inputs[2].data() : data_of(bias_.defined() ? &bias_ : nullptr);
    args.epilogue.residual = residual_ ? run.inputs.back().data() : nullptr;
    if (scale_.defined()) return multiply_and_normalize(args, run);
    if (count_ > 1 && !set_distance(args, run.outputs)) return multiply_each(args, run);
    multiply(args, run);
  }

 private:
  cuda::GemmArgs sizes(int64_t elements) const {
    cuda::GemmArgs args;
    args.type = type();
    args.n = weight_.shape()[transposed_ ? 1 : 2];
    args.k = weight_.shape()[transposed_ ? 2 : 1];
    args.m = args.n == 0 ? 0 : elements / args.n;
    args.a_row = args.k;
    args.b = weight_.data();
    args.b_transposed = transposed_;
    args.b_row = weight_.shape()[2];
    args.b_is_weight = true;
    args.c_row = args.n;
    args.alpha = alpha_;
    args.batch = count_;
    args.b_batch = count_ > 1 ? args.n * args.k : 0;
    args.c_batch = count_ > 1 ? args.m * args.n : 0;
    args.epilogue.activation = activation_;
    args.epilogue.residual_row = args.n;
    args.epilogue.bias_batch = count_ > 1 && bias_.defined() ? args.n : 0;
    return args;
  }

  void multiply_each(cuda::GemmArgs args, const KernelRun& run) const {
    const auto at = [&](const Tensor& all, std::size_t i) {
      return static_cast<const std::byte*>(all.data()) +
             i * (all.bytes() / static_cast<std::size_t>(count_));
    };
    args.batch = 1;
    args.epilogue.bias_batch = 0;
    for (std::size_t i = 0; i < run.outputs.size(); ++i) {
      args.b = at(weight_, i);
      if (bias_.defined()) args.epilogue.bias = at(bias_, i);
      args.c = run.outputs[i].data();
      multiply(args, run);
    }
  }

  void multiply_and_normalize(cuda::GemmArgs product, const KernelRun& run) const {
    cuda::GemmNormArgs args;
    args.gemm = product;
    args.gemm.batch_invariant = batch_invariant();
    args.gemm.c = nullptr;
    args.epsilon = epsilon_;
    args.scale = scale_.data();
    args.shift = data_of(shift_.defined() ? &shift_ : nullptr);
    args.y = run.outputs[0].data();
    args.y_row = product.n;
    args.gemm.scratch = run.workspace;
    args.gemm.scratch_bytes = cuda::GemmLibrary::scratch(args);
    if (run.tune) library().tune(args, stream_of(run));
    library().gemm_norm(args, stream_of(run));
  }

  Tensor weight_;  // [count, K, N], or [count, N, K] when transposed
  Tensor bias_;    // [count, N]
  Tensor scale_;   // of the norm; undefined: there is none
  Tensor shift_;
  float epsilon_ = 0.0F;
  int64_t count_ = 1;
  bool transposed_ = false;
  bool has_row_ = false;
  bool residual_ = false;
  float alpha_ = 1.0F;
  cuda::Activation activation_;
};

// Both sides are computed.
class MatMulKernel final : public ProductKernel {
 public:
  using ProductKernel::ProductKernel;

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>, int) const override {
    return scratch(sizes(MatmulShape(inputs[0], inputs[1])));
  }
  void run(const KernelRun& run) const override {
    const MatmulShape shape(run.inputs[0].shape(), run.inputs[1].shape());
    cuda::GemmArgs args = sizes(shape);
    const auto width = static_cast<int64_t>(bytes_of(run.inputs[0].dtype(), 1));
    const auto at = [&](const Tensor& tensor, int64_t elements) {
      return static_cast<const std::byte*>(tensor.data()) + elements * width;
    };
    args.a = run.inputs[0].data();
    args.b = run.inputs[1].data();
    args.c = run.outputs[0].data();
    if (args.batch == shape.batches || args.m != shape.m) return multiply(args, run);
    shape.for_each([&](int64_t i, int64_t a, int64_t b) {
      args.a = at(run.inputs[0], a * shape.m * shape.k);
      args.b = at(run.inputs[1], b * shape.k * shape.n);
      args.c = const_cast<std::byte*>(at(run.outputs[0], i * shape.m * shape.n));
      multiply(args, run);
    });
  }

 private:
  // All in one call where each side is one matrix, or goes on evenly; otherwise one product.
  cuda::GemmArgs sizes(const MatmulShape& shape) const {
    cuda::GemmArgs args;
    args.m = shape.m;
    args.n = shape.n;
    args.k = shape.k;
    args.a_row = shape.k;
    args.b_row = args.c_row = shape.n;
    const int64_t a = element_count(shape.a_batch);
    const int64_t b = element_count(shape.b_batch);
    if (b == 1 && a == shape.batches && !batch_invariant()) {
      args.m *= shape.batches;  // one matrix on the right serves all rows on the left
      return args;
    }
    if ((a != shape.batches && a != 1) || (b != shape.batches && b != 1)) return args;
    args.batch = shape.batches;
    args.a_batch = a == 1 ? 0 : shape.m * shape.k;
    args.b_batch = b == 1 ? 0 : shape.k * shape.n;
    args.c_batch = shape.m * shape.n;
    return args;
  }
};

}  // namespace

namespace {

// A weight that the kernels whose rows' bits do not depend on M do not take (gemm_tile.h,
// gemm_narrow.h).
std::string refuse_dependent_rows(const KernelContext& context) {
  if (std::string reason = refuse_unless_float(context); !reason.empty()) return reason;
  const auto source = constant_source(context, 1);
  if (!context.batch_invariant || !source) return {};
  const bool swapped = context.node.is("Gemm") && context.node.int_or("transB", 0) != 0;
  const bool transposed = source->transposed != swapped;
  const Shape& shape = source->tensor.shape();
  const int64_t k = shape[transposed ? 1 : 0], n = shape[transposed ? 0 : 1];
  constexpr int64_t kChunk = 8;  // elements in 16 bytes; a narrow product has as many columns
  if (k % kChunk == 0 && (n <= kChunk || n % kChunk == 0)) return {};
  return fmt::format("deterministic products take weights of multiples of {}, not of {}", kChunk,
                     to_string(shape));
}

}  // namespace

std::string refuse_weight(const KernelContext& context) {
  if (std::string reason = refuse_dependent_rows(context); !reason.empty()) return reason;
  if (context.epilogue.last != Activation::none) return "takes no activation behind a residual";
  if (context.epilogue.norm && context.epilogue.activation != Activation::none)
    return "normalises no activation";
  const auto source = constant_source(context, 1);
  if (!source) return "the weight is not a constant of rank 2";
  if (!is_floating_point(source->tensor.dtype())) return "the weight is not floating-point";
  if (!context.node.is("Gemm")) return {};
  const ir::Node& node = context.node;
  if (node.int_or("transA", 0) != 0) return "A is transposed";
  if (node.input(2) == nullptr) return {};
  if (node.float_or("beta", 1.0F) != 1.0F) return "beta is not 1";
  if (context.epilogue.bias.defined()) return "has a bias already";
  const bool swapped = source->transposed != (node.int_or("transB", 0) != 0);
  const int64_t n = source->tensor.shape()[swapped ? 0 : 1];
  const ir::Type* c = context.facts.type(node.input(2));
  const bool row = c != nullptr && c->has_rank() && c->rank() > 0 &&
                   c->dims->back() == ir::Dim(n) &&
                   (c->rank() == 1 || c->dims->front() == ir::Dim(1));
  return row ? std::string() : "C is not one row";
}

// Siblings are products of one size, all with one activation.
std::string refuse_together(const KernelContext& context) {
  if (std::string reason = refuse_weight(context); !reason.empty()) return reason;
  if (context.siblings.empty()) return {};
  const auto own = constant_source(context, 1);
  for (const Sibling& sibling : context.siblings) {
    const KernelContext other = context.of(sibling);
    if (std::string reason = refuse_weight(other); !reason.empty()) return reason;
    const auto source = constant_source(other, 1);
    if (source->tensor.shape() != own->tensor.shape() || source->transposed != own->transposed)
      return "the weights differ in shape";
    if (sibling.epilogue.activation != context.epilogue.activation) return "the activations differ";
  }
  return {};
}

namespace {

constexpr Implementation kByteWeight{.name = "gemm_bytes_weight",
                                     .refuse = refuse_byte_weight,
                                     .create = create_byte_weight,
                                     .epilogues = true,
                                     .siblings = true,
                                     .rounding = true};
constexpr Implementation kMatMul[] = {kByteWeight,
                                      {.name = "gemm_weight",
                                       .refuse = refuse_together,
                                       .create = create_kernel<WeightKernel>,
                                       .epilogues = true,
                                       .siblings = true},
                                      {"gemm", refuse_dependent_rows, create_kernel<MatMulKernel>}};
constexpr Implementation kGemm[] = {
    kByteWeight, {"gemm_weight", refuse_weight, create_kernel<WeightKernel>, true}};
constexpr OperatorKernels kOps[] = {{"", "MatMul", kMatMul}, {"", "Gemm", kGemm}};

}  // namespace

CudaFamily product_cuda_ops() { return kOps; }

}  // namespace tercel::ops
