// Conv and ConvTranspose: the weight is held in the device's memory with its channels last.

#include <algorithm>
#include <array>

#include "src/ops/cuda_tables.h"
#include "src/ops/cuda_util.h"
#include "src/ops/nn/window_cpu.h"

namespace tercel::ops {
namespace {

constexpr std::size_t kUnit = 256;  // that scratch begins at

std::size_t rounded(std::size_t bytes) { return (bytes + kUnit - 1) / kUnit * kUnit; }

int64_t area_of(const Shape& shape) { return product(shape, 2, static_cast<int>(shape.size())); }

// With one channel, or one pixel, both layouts are the same.
bool differs(const Shape& shape) { return shape[1] > 1 && area_of(shape) > 1; }

// [N, C, …] to [N, …, C].
template <class T>
void put_channels_last(const T* from, const Shape& shape, T* to) {
  const int64_t channels = shape[1];
  const int64_t area = area_of(shape);
  for (int64_t n = 0; n < shape[0]; ++n, from += channels * area, to += channels * area)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = 0; i < area; ++i) to[i * channels + c] = from[c * area + i];
}

Tensor channels_last(const Tensor& weight) {
  Tensor turned(weight.dtype(), weight.shape());
  dispatch_dtype(FloatTypes{}, weight.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    put_channels_last(elements<T>(weight), weight.shape(), elements<T>(turned));
  });
  return turned;
}

// Images that do not lie channels last are turned in the workspace, before and behind.
class ConvKernel final : public Kernel {
 public:
  explicit ConvKernel(const KernelContext& context)
      : node_(context.node),
        device_(*context.device),
        type_(context.input_dtype(0)),
        transposed_(context.node.is("ConvTranspose")),
        groups_(context.node.int_or("group", 1)),
        epilogue_(context.epilogue),
        layouts_(context.layouts) {
    const Shape& shape = context.constant(1)->shape();
    window_ = window_of(node_, shape.size() - 2, {shape.begin() + 2, shape.end()});
    weight_ = keep(context, channels_last(*context.constant(1)), type_);
    if (node_.input(2) != nullptr) bias_ = keep(context, *context.constant(2), type_);
  }

  bool absorbs(int input) const override { return input == 1 || input == 2; }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int) const override {
    return turned_bytes(inputs[0], outputs[0]) +
           cuda::ConvLibrary::scratch(sizes(inputs[0], outputs[0]));
  }

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    Tensor& y = run.outputs[0];
    if (y.size() == 0) return;
    cuda::ConvArgs args = sizes(x.shape(), y.shape());
    std::byte* free = run.workspace;
    args.x = x.data();
    if (turns_input(x.shape())) args.x = turned(x, free, run);
    args.y = y.data();
    if (epilogue_.residual) args.residual = run.inputs.back().data();
    const bool turns = turns_output(y.shape());
    if (turns) {
      if (epilogue_.residual) args.residual = turned(run.inputs.back(), free, run);
      args.y = free;
      free += image_bytes(y.shape());
    }
    args.scratch = free;
    args.scratch_bytes = cuda::ConvLibrary::scratch(args);
    cuda::ConvLibrary& library = conv_library(device_);
    if (run.tune) library.tune(args, stream_of(run));
    library.conv(args, stream_of(run));
    if (turns) turn(args.y, y.shape(), false, y.data(), run);
  }

 private:
  cuda::ConvArgs sizes(const Shape& x, const Shape& y) const {
    cuda::ConvArgs args;
    args.type = type_;
    args.transposed = transposed_;
    args.batch = x[0];
    args.groups = groups_;
    args.in_channels = x[1];
    args.out_channels = y[1];
    for (std::size_t d = 0; d < window_.rank(); ++d) {
      const auto [begin, end, count] = transposed_ ? slide_back(node_, window_, d, x[d + 2])
                                                   : slide_along(node_, window_, d, x[d + 2]);
      args.axes[d + kMaxSpatial - window_.rank()] = {
          x[d + 2], y[d + 2], window_.kernel[d], window_.strides[d], window_.dilations[d], begin};
    }
    args.w = weight_.data();
    args.bias = data_of(bias_.defined() ? &bias_ : nullptr);
    args.activation = to_device(epilogue_.activation);
    args.last = to_device(epilogue_.last);
    return args;
  }

  bool turns_input(const Shape& x) const { return !layouts_.input && differs(x); }
  bool turns_output(const Shape& y) const { return !layouts_.output && differs(y); }
  std::size_t image_bytes(const Shape& shape) const {
    return rounded(bytes_of(type_, element_count(shape)));
  }
  std::size_t turned_bytes(const Shape& x, const Shape& y) const {
    return (turns_input(x) ? image_bytes(x) : 0) +
           (turns_output(y) ? image_bytes(y) * (epilogue_.residual ? 2 : 1) : 0);
  }

  void* turned(const Tensor& tensor, std::byte*& free, const KernelRun& run) const {
    std::byte* to = free;
    free += image_bytes(tensor.shape());
    turn(tensor.data(), tensor.shape(), true, to, run);
    return to;
  }
  // To channels last, or from there; the shape is that of the graph.
  void turn(const void* from, const Shape& shape, bool to_last, void* to,
            const KernelRun& run) const {
    const int64_t first = to_last ? shape[1] : area_of(shape);
    const int64_t second = to_last ? area_of(shape) : shape[1];
    const cuda::Extents dims = extents(std::array{shape[0], second, first});
    cuda::strided_copy({.element_bytes = element_bytes_of(type_),
                        .dims = dims,
                        .in_strides = extents(std::array{first * second, int64_t{1}, second}),
                        .out_strides = cuda::row_major(dims),
                        .in = from,
                        .out = to},
                       stream_of(run));
  }

  const ir::Node& node_;
  Device& device_;
  Dtype type_;
  bool transposed_;
  int64_t groups_;
  Epilogue epilogue_;
  Layouts layouts_;
  Window window_;
  Tensor weight_;
  Tensor bias_;
};

std::string refuse_conv(const KernelContext& context) {
  if (std::string reason = refuse_unless_float(context); !reason.empty()) return reason;
  if (context.batch_invariant) return "is not deterministic: cuDNN's kernels go by the batch";
  const Tensor* weight = context.constant(1);
  if (weight == nullptr) return "the weight is not constant";
  if (weight->size() == 0) return "the weight is empty";
  if (!has_constant(context, 2)) return "the bias is not constant";
  if (context.epilogue.bias.defined()) return "takes no bias but its own";
  const auto spatial = static_cast<std::size_t>(weight->rank()) - 2;
  return spatial > kMaxSpatial
             ? fmt::format("{} spatial dimensions; at most {} are supported", spatial, kMaxSpatial)
             : std::string();
}

// The one that has nothing to turn.
std::string refuse_channels_last(const KernelContext& context) {
  if (!context.layouts.input || !context.layouts.output) return "an image is not channels last";
  return refuse_conv(context);
}

constexpr Implementation kConv[] = {
    {"conv_channels_last", refuse_channels_last, create_kernel<ConvKernel>, true, true},
    {"conv", refuse_conv, create_kernel<ConvKernel>, true, true}};
constexpr OperatorKernels kOps[] = {{"", "Conv", kConv}, {"", "ConvTranspose", kConv}};

}  // namespace

CudaFamily conv_cuda_ops() { return kOps; }

}  // namespace tercel::ops
