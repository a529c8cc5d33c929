// MatMul and Gemm: a constant right side is held in the device's memory as it was stored.

#include <algorithm>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"
#include "src/ops/math/matmul_shape_cpu.h"

namespace tercel::ops {
namespace {

cuda::Activation to_device(Activation activation) {
  switch (activation) {
    case Activation::none:
      return cuda::Activation::none;
    case Activation::relu:
      return cuda::Activation::relu;
    case Activation::gelu_erf:
      return cuda::Activation::gelu;
    case Activation::gelu_tanh:
      return cuda::Activation::gelu_tanh;
    case Activation::silu:
      return cuda::Activation::silu;
    case Activation::tanh:
      return cuda::Activation::tanh;
    case Activation::sigmoid:
      return cuda::Activation::sigmoid;
  }
  fail(Errc::internal, "no such activation");
}

class ProductKernel : public Kernel {
 public:
  explicit ProductKernel(const KernelContext& context)
      : library_(gemm_library(*context.device)), type_(context.input_dtype(0)) {}

 protected:
  void multiply(cuda::GemmArgs args, const KernelRun& run) const {
    args.type = type_;
    args.scratch = run.workspace;
    args.scratch_bytes = cuda::GemmLibrary::scratch(args);
    if (run.tune) library_.tune(args, stream_of(run));
    library_.gemm(args, stream_of(run));
  }
  std::size_t scratch(cuda::GemmArgs args) const {
    args.type = type_;
    return cuda::GemmLibrary::scratch(args);
  }

 private:
  cuda::GemmLibrary& library_;
  Dtype type_;
};

// The right side is constant. C of a Gemm is a row that is added, if any.
class WeightKernel final : public ProductKernel {
 public:
  explicit WeightKernel(const KernelContext& context)
      : ProductKernel(context), activation_(to_device(context.epilogue.activation)) {
    const ConstantSource source = *constant_source(context, 1);
    weight_ = keep(context, source.tensor, context.input_dtype(0));
    transposed_ = source.transposed;
    if (context.node.is("Gemm")) {
      alpha_ = context.node.float_or("alpha", 1.0F);
      transposed_ = transposed_ != (context.node.int_or("transB", 0) != 0);
      has_row_ = context.node.input(2) != nullptr;
    }
    residual_ = context.epilogue.residual;
    if (context.epilogue.bias.defined())
      bias_ = keep(context, context.epilogue.bias, context.input_dtype(0));
  }

  bool absorbs(int input) const override { return input == 1; }
  std::size_t workspace(std::span<const Shape>, std::span<const Shape> outputs,
                        int) const override {
    return scratch(sizes(element_count(outputs[0])));
  }
  void run(const KernelRun& run) const override {
    cuda::GemmArgs args = sizes(run.outputs[0].size());
    args.a = run.inputs[0].data();
    args.c = run.outputs[0].data();
    args.epilogue.bias =
        has_row_ ? run.inputs[2].data() : data_of(bias_.defined() ? &bias_ : nullptr);
    args.epilogue.residual = residual_ ? run.inputs.back().data() : nullptr;
    multiply(args, run);
  }

 private:
  cuda::GemmArgs sizes(int64_t elements) const {
    cuda::GemmArgs args;
    args.n = weight_.shape()[transposed_ ? 0 : 1];
    args.k = weight_.shape()[transposed_ ? 1 : 0];
    args.m = args.n == 0 ? 0 : elements / args.n;
    args.a_row = args.k;
    args.b = weight_.data();
    args.b_transposed = transposed_;
    args.b_row = weight_.shape()[1];
    args.c_row = args.n;
    args.alpha = alpha_;
    args.epilogue.activation = activation_;
    args.epilogue.residual_row = args.n;
    return args;
  }

  Tensor weight_;
  Tensor bias_;
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
  static cuda::GemmArgs sizes(const MatmulShape& shape) {
    cuda::GemmArgs args;
    args.m = shape.m;
    args.n = shape.n;
    args.k = shape.k;
    args.a_row = shape.k;
    args.b_row = args.c_row = shape.n;
    const int64_t a = element_count(shape.a_batch);
    const int64_t b = element_count(shape.b_batch);
    if (b == 1 && a == shape.batches) {
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

std::string refuse_weight(const KernelContext& context) {
  if (std::string reason = refuse_unless_float(context); !reason.empty()) return reason;
  if (context.epilogue.last != Activation::none) return "takes no activation behind a residual";
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

constexpr Implementation kMatMul[] = {
    {"gemm_weight", refuse_weight, create_kernel<WeightKernel>, true},
    {"gemm", refuse_unless_float, create_kernel<MatMulKernel>}};
constexpr Implementation kGemm[] = {
    {"gemm_weight", refuse_weight, create_kernel<WeightKernel>, true}};
constexpr OperatorKernels kOps[] = {{"", "MatMul", kMatMul}, {"", "Gemm", kGemm}};

}  // namespace

CudaFamily product_cuda_ops() { return kOps; }

}  // namespace tercel::ops
