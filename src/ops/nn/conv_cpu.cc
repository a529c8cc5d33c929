#include "src/ops/nn/conv_cpu.h"

#include "src/ops/math/packed_weight_cpu.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

std::vector<int64_t> kernel_of(const Shape& weight) { return {weight.begin() + 2, weight.end()}; }

}  // namespace

ConvSettings::ConvSettings(const KernelContext& context, int weight)
    : node_(context.node),
      transposed_(context.node.is("ConvTranspose")),
      groups_(context.node.int_or("group", 1)) {
  const ir::Type* type = context.facts.type(context.node.input(weight));
  const auto shape = type != nullptr ? type->shape() : std::nullopt;
  if (shape) window_ = window_of(node_, shape->size() - 2, kernel_of(*shape));
}

kernels::ConvArgs ConvSettings::sizes(const Shape& x, const Shape& w, const Shape& y) const {
  const Window read = window_ ? Window() : window_of(node_, x.size() - 2, kernel_of(w));
  const Window& window = window_ ? *window_ : read;
  kernels::ConvArgs args{.batch = x[0], .groups = groups_};
  args.in_channels = x[1] / args.groups;
  args.out_channels = y[1] / args.groups;
  for (std::size_t d = 0; d < window.rank(); ++d) {
    kernels::ConvAxis& axis = args.axes[d + kMaxSpatial - window.rank()];
    axis.in = x[d + 2];
    axis.out = y[d + 2];
    axis.taps = window.kernel[d];
    axis.dilation = window.dilations[d];
    if (transposed_) {
      axis.inflate = window.strides[d];
      axis.pad = (axis.taps - 1) * axis.dilation - slide_back(node_, window, d, axis.in).begin;
    } else {
      axis.stride = window.strides[d];
      axis.pad = slide_along(node_, window, d, axis.in).begin;
    }
  }
  return args;
}

std::string refuse_many_dimensions(const KernelContext& context) {
  const ir::Type* type = context.facts.type(context.node.input(0));
  if (type == nullptr || !type->has_rank()) return "the rank of the input is not known";
  const auto spatial = static_cast<std::size_t>(type->rank()) - 2;
  return spatial > kMaxSpatial
             ? fmt::format("{} spatial dimensions; at most {} are supported", spatial, kMaxSpatial)
             : std::string();
}

namespace {

// [channels in, channels out of a group, taps] to [groups, out, in of a group, taps backwards].
template <class T>
void turn_weight(const T* w, const kernels::ConvArgs& args, T* out) {
  const int64_t taps = args.axes[0].taps * args.axes[1].taps * args.axes[2].taps;
  for (int64_t g = 0; g < args.groups; ++g) {
    for (int64_t m = 0; m < args.out_channels; ++m) {
      for (int64_t c = 0; c < args.in_channels; ++c) {
        const T* from = w + ((g * args.in_channels + c) * args.out_channels + m) * taps;
        for (int64_t t = 0; t < taps; ++t) *out++ = from[taps - 1 - t];
      }
    }
  }
}

// The weight is the first factor of the product, which the kernel reads in rows where it lies: it
// needs no packing. That of a ConvTranspose is turned in the workspace.
class ConvVectorKernel final : public CpuKernel {
 public:
  explicit ConvVectorKernel(const KernelContext& context)
      : conv_(kernels::cpu_kernels(context.isa).conv),
        settings_(context),
        epilogue_(context.epilogue),
        has_bias_(context.node.input(2) != nullptr) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>,
                        int threads) const override {
    const std::size_t weight = settings_.transposed()
                                   ? workspace_bytes(bytes_of(Dtype::f32, element_count(inputs[1])))
                                   : 0;
    return weight + conv_.workspace(threads);
  }

  void run(const KernelRun& run) const override {
    const Tensor& w = run.inputs[1];
    Tensor& y = run.outputs[0];
    if (y.size() == 0) return;
    kernels::ConvArgs args = settings_.sizes(run.inputs[0].shape(), w.shape(), y.shape());
    args.x = elements<float>(run.inputs[0]);
    args.w = elements<float>(w);
    args.workspace = run.workspace;
    if (settings_.transposed()) {
      auto* turned = reinterpret_cast<float*>(run.workspace);
      turn_weight(args.w, args, turned);
      args.w = turned;
      args.workspace = run.workspace + workspace_bytes(w.bytes());
    }
    if (has_bias_) args.bias = elements<float>(run.inputs[2]);
    const auto epilogue = gemm_epilogue(epilogue_, run.inputs.back(), y.size(), 1);
    args.activation = epilogue.activation;
    args.residual = epilogue.residual;
    args.y = elements<float>(y);
    conv_.conv(args, run.pool);
  }

 private:
  const kernels::ConvKernels& conv_;
  ConvSettings settings_;
  Epilogue epilogue_;
  bool has_bias_;
};

// The input's index that a tap of an output sees; -1 for none.
int64_t seen(const kernels::ConvAxis& axis, int64_t out, int64_t tap) {
  const int64_t at = out * axis.stride - axis.pad + tap * axis.dilation;
  if (at < 0 || at % axis.inflate != 0) return -1;
  return at / axis.inflate < axis.in ? at / axis.inflate : -1;
}

// The element types that have no product of their own: one output at a time.
template <class T>
ComputeType<T> window_sum(const kernels::ConvArgs& args, const T* x, const T* w, int64_t position) {
  const auto& axes = args.axes;
  ComputeType<T> sum{};
  for (int64_t c = 0; c < args.in_channels; ++c) {
    for (int64_t kz = 0; kz < axes[0].taps; ++kz) {
      const int64_t z = seen(axes[0], position / axes[2].out / axes[1].out, kz);
      for (int64_t ky = 0; ky < axes[1].taps; ++ky, w += axes[2].taps) {
        const int64_t y = seen(axes[1], position / axes[2].out % axes[1].out, ky);
        if (z < 0 || y < 0) continue;
        const T* line = x + ((c * axes[0].in + z) * axes[1].in + y) * axes[2].in;
        for (int64_t kx = 0; kx < axes[2].taps; ++kx) {
          const int64_t at = seen(axes[2], position % axes[2].out, kx);
          if (at >= 0) sum += load(line[at]) * load(w[kx]);
        }
      }
    }
  }
  return sum;
}

class ConvGenericKernel final : public CpuKernel {
 public:
  explicit ConvGenericKernel(const KernelContext& context) : settings_(context) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>, int) const override {
    return settings_.transposed() ? bytes_of(Dtype::f64, element_count(inputs[1])) : 0;
  }

  void run(const KernelRun& run) const override {
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(),
                   [&](auto tag) { convolve<typename decltype(tag)::type>(run); });
  }

 private:
  template <class T>
  void convolve(const KernelRun& run) const {
    Tensor& out = run.outputs[0];
    if (out.size() == 0) return;
    const kernels::ConvArgs args =
        settings_.sizes(run.inputs[0].shape(), run.inputs[1].shape(), out.shape());
    const T* x = elements<T>(run.inputs[0]);
    const T* w = elements<T>(run.inputs[1]);
    if (settings_.transposed()) {
      auto* turned = reinterpret_cast<T*>(run.workspace);
      turn_weight(w, args, turned);
      w = turned;
    }
    const T* bias =
        run.inputs.size() > 2 && run.inputs[2].defined() ? elements<T>(run.inputs[2]) : nullptr;
    T* y = elements<T>(out);
    const auto& axes = args.axes;
    const int64_t area = axes[0].out * axes[1].out * axes[2].out;
    const int64_t row = args.in_channels * axes[0].taps * axes[1].taps * axes[2].taps;
    const int64_t image = args.in_channels * axes[0].in * axes[1].in * axes[2].in;
    run.pool.parallel_for(out.size(), rows_per_grain(row), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t plane = i / area;
        const int64_t channel = plane % (args.groups * args.out_channels);
        const auto sum =
            window_sum(args, x + plane / args.out_channels * image, w + channel * row, i % area);
        y[i] = store<T>(bias != nullptr ? sum + load(bias[channel]) : sum);
      }
    });
  }

  ConvSettings settings_;
};

std::string refuse_vector(const KernelContext& context) {
  if (context.epilogue.last != Activation::none) return "takes no activation behind a residual";
  const std::string reason = refuse_unless_f32(context);
  return reason.empty() ? refuse_many_dimensions(context) : reason;
}
std::string refuse_generic_conv(const KernelContext& context) {
  const std::string reason = refuse_input0<FloatTypes>(context);
  return reason.empty() ? refuse_many_dimensions(context) : reason;
}

constexpr CpuImplementation kConv[] = {
    {"conv_bf16_packed", refuse_conv_bf16, create_packed_conv, true, true},
    {"conv_f32_packed", refuse_packed_conv, create_packed_conv, true, true},
    {"conv_f32", refuse_vector, create_kernel<ConvVectorKernel>, true},
    {"conv_generic", refuse_generic_conv, create_kernel<ConvGenericKernel>}};
constexpr CpuOp kConvOps[] = {{"", "Conv", kConv}, {"", "ConvTranspose", kConv}};

}  // namespace

CpuFamily conv_cpu_ops() { return kConvOps; }

}  // namespace tercel::ops
