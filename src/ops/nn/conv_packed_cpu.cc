#include "src/ops/math/packed_weight_cpu.h"
#include "src/ops/nn/conv_cpu.h"
#include "src/ops/quantization/packed_bytes_cpu.h"

namespace tercel::ops {
namespace {

// Images that do not lie channels last are turned in the workspace, before and behind.
class ConvPackedKernel final : public CpuKernel {
 public:
  explicit ConvPackedKernel(const KernelContext& context)
      : conv_(kernels::cpu_kernels(context.isa).packed_conv),
        settings_(context),
        weight_shape_(*context.facts.type(context.node.input(1))->shape()),
        epilogue_(context.epilogue),
        layouts_(context.layouts),
        has_bias_(context.node.input(2) != nullptr) {
    // Winograd's tiles depend on the size of the image, where it is known.
    Shape x(weight_shape_.size(), 0);
    x[0] = 1;
    x[1] = weight_shape_[1] * context.node.int_or("group", 1);
    Shape y{1, weight_shape_[0]};
    y.resize(x.size(), 0);
    const ir::Type* type = context.facts.type(context.node.input(0));
    for (std::size_t d = 2; type != nullptr && type->dims && d < x.size(); ++d) {
      if ((*type->dims)[d].known()) x[d] = (*type->dims)[d].value();
    }
    pack(context, sizes_of(x, y));
  }

  bool absorbs(int input) const override { return input == 1; }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int threads) const override {
    const Shape& y = outputs[0];
    std::size_t bytes = kernel_workspace(sizes_of(inputs[0], y), threads);
    if (turns_input(inputs[0])) bytes += turned_bytes(inputs[0]);
    if (turns_output(y)) bytes += turned_bytes(y) * (epilogue_.residual ? 2 : 1);
    return bytes;
  }

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    Tensor& y = run.outputs[0];
    if (y.size() == 0) return;
    kernels::PackedConvArgs args = sizes_of(x.shape(), y.shape());
    TERCEL_CHECK(args.in_channels == weight_shape_[1]);
    std::byte* free = run.workspace;
    args.x = turns_input(x.shape()) ? turned(run, x, free) : elements<float>(x);
    if (packed_ != nullptr) args.w = reinterpret_cast<const float*>(packed_->data());
    if (has_bias_) args.bias = elements<float>(run.inputs[2]);
    args.activation = to_kernel(epilogue_.activation);
    args.last = to_kernel(epilogue_.last);
    args.y = elements<float>(y);
    const bool turns = turns_output(y.shape());
    if (epilogue_.residual) {
      const Tensor& residual = run.inputs.back();
      TERCEL_CHECK(residual.dtype() == Dtype::f32 && residual.size() == y.size());
      args.residual = turns ? turned(run, residual, free) : elements<float>(residual);
    }
    if (turns) {
      args.y = reinterpret_cast<float*>(free);
      free += turned_bytes(y.shape());
    }
    args.workspace = free;
    if (int8_ != nullptr)
      int8_->conv({.conv = args, .packed = bytes_->data(), .workspace = free}, run.pool);
    else if (bf16_ != nullptr)
      bf16_->conv(args, packed_->data(), run.pool);
    else
      conv_.conv(args, run.pool);
    if (turns) {
      conv_.transpose(args.y, y.shape()[0], area_of(y.shape()), y.shape()[1], elements<float>(y),
                      run.pool);
    }
  }

 private:
  void pack(const KernelContext& context, kernels::PackedConvArgs sizes) {
    if (refuse_conv_int8(context).empty()) {
      int8_ = &kernels::conv_int8_kernels(context.isa);
      bytes_.emplace(context, *dequantized_constant(context, 1), &sizes);
      return;
    }
    const auto* weight = elements<float>(*context.constant(1));
    if (refuse_conv_bf16(context).empty()) {
      bf16_ = kernels::conv_bf16_kernels(context.isa);
      packed_ = context.memory.allocate(bf16_->packed_bytes(sizes), "packed weight");
      bf16_->pack(sizes, weight, packed_->data(), context.pool);
      return;
    }
    method_ = sizes.method = conv_.method(sizes);
    planar_ = sizes.planar = !layouts_.input && conv_.may_be_planar(sizes);
    packed_ = context.memory.allocate(conv_.packed_bytes(sizes), "packed weight");
    conv_.pack(sizes, weight, reinterpret_cast<float*>(packed_->data()), context.pool);
  }

  std::size_t kernel_workspace(const kernels::PackedConvArgs& sizes, int threads) const {
    if (int8_ != nullptr) return int8_->workspace(sizes, /*of_bytes=*/false, threads);
    return bf16_ != nullptr ? bf16_->workspace(sizes, threads) : conv_.workspace(sizes, threads);
  }

  kernels::PackedConvArgs sizes_of(const Shape& x, const Shape& y) const {
    kernels::PackedConvArgs args = packed_sizes(settings_, x, weight_shape_, y);
    args.method = method_;
    args.planar = planar_;
    return args;
  }

  bool turns_input(const Shape& x) const {
    return !layouts_.input && !planar_ && layouts_differ(x);
  }
  bool turns_output(const Shape& y) const { return !layouts_.output && layouts_differ(y); }
  static std::size_t turned_bytes(const Shape& shape) {
    return workspace_bytes(bytes_of(Dtype::f32, element_count(shape)));
  }
  float* turned(const KernelRun& run, const Tensor& tensor, std::byte*& free) const {
    auto* to = reinterpret_cast<float*>(free);
    const Shape& shape = tensor.shape();
    conv_.transpose(elements<float>(tensor), shape[0], shape[1], area_of(shape), to, run.pool);
    free += turned_bytes(shape);
    return to;
  }

  const kernels::PackedConvKernels& conv_;
  const kernels::ConvBf16Kernels* bf16_ = nullptr;  // when the product is bf16 by bf16
  const kernels::ConvInt8Kernels* int8_ = nullptr;  // when it is of bytes
  std::optional<PackedBytes> bytes_;                // with `int8_`, instead of `packed_`
  ConvSettings settings_;
  Shape weight_shape_;
  Epilogue epilogue_;
  Layouts layouts_;
  bool has_bias_;
  kernels::ConvMethod method_ = kernels::ConvMethod::product;
  bool planar_ = false;
  std::shared_ptr<Buffer> packed_;
};

}  // namespace

kernels::PackedConvArgs packed_sizes(const ConvSettings& settings, const Shape& x, const Shape& w,
                                     const Shape& y) {
  const kernels::ConvArgs sizes = settings.sizes(x, w, y);
  kernels::PackedConvArgs args{.batch = sizes.batch, .groups = sizes.groups};
  args.in_channels = sizes.in_channels;
  args.out_channels = sizes.out_channels;
  std::copy(std::begin(sizes.axes), std::end(sizes.axes), args.axes);
  return args;
}

kernels::PackedConvArgs packed_sizes(const KernelContext& context, int weight) {
  const Shape& w = context.constant(weight)->shape();
  Shape x(w.size(), 0), y(w.size(), 0);
  x[0] = y[0] = 1;
  x[1] = w[1] * context.node.int_or("group", 1);
  y[1] = w[0];
  return packed_sizes(ConvSettings(context, weight), x, w, y);
}

std::string refuse_packed_conv(const KernelContext& context) {
  if (context.node.is("ConvTranspose")) return "turns no weight";
  const std::string reason = refuse_unless_f32(context);
  if (!reason.empty()) return reason;
  const Tensor* w = context.constant(1);
  if (w == nullptr || w->dtype() != Dtype::f32) return "the weight is not a constant of f32";
  if (w->size() == 0) return "the weight is empty";
  return refuse_many_dimensions(context);
}

std::string refuse_conv_bf16(const KernelContext& context) {
  if (std::string reason = refuse_packed_conv(context); !reason.empty()) return reason;
  if (context.weight_dtype != Dtype::bf16) return "the session's weights are not bf16";
  const auto* bf16 = kernels::conv_bf16_kernels(context.isa);
  if (bf16 == nullptr) return fmt::format("{} does not multiply bf16", to_string(context.isa));
  const Shape& w = context.constant(1)->shape();
  const kernels::PackedConvArgs sizes{.groups = context.node.int_or("group", 1),
                                      .in_channels = w[1]};
  return bf16->takes(sizes) ? std::string() : "several groups, or an odd number of channels";
}

std::string refuse_conv_int8(const KernelContext& context) {
  if (context.node.domain() != "tercel") return "rounds no images";
  if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  const auto weight = dequantized_constant(context, 1);
  if (!weight) return "the weight is not a dequantised constant";
  const Tensor& values = weight->values;
  if (values.rank() < 3 || values.size() == 0) return "the weight is not one of a convolution";
  if (values.size() / values.shape()[0] > kernels::kInt8MaxK)
    return "sums of so many would overflow";
  if (std::string reason = PackedBytes::refuse(*weight); !reason.empty()) return reason;
  return refuse_many_dimensions(context);
}

std::unique_ptr<CpuKernel> create_packed_conv(const KernelContext& context) {
  return create_kernel<ConvPackedKernel>(context);
}

}  // namespace tercel::ops
