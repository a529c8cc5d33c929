#include "src/ops/nn/conv_cpu.h"
#include "src/ops/quantization/products_cpu.h"

namespace tercel::ops {
namespace {

const Places& places_of(const ir::Node& node) {
  return node.is("QLinearConv") ? kLinear : kInteger;
}

// [batch, rows, columns] to [batch, columns, rows], a few columns at a time: their lines stay in a
// near cache.
void turn_sums(const int32_t* from, int64_t batch, int64_t rows, int64_t columns, int32_t* to,
               ThreadPool& pool) {
  constexpr int64_t kColumns = 16;
  const int64_t strips = (columns + kColumns - 1) / kColumns;
  pool.parallel_for(batch * strips, rows_per_grain(rows * kColumns),
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) {
                        const int32_t* x = from + i / strips * rows * columns;
                        int32_t* y = to + i / strips * rows * columns;
                        const int64_t first = i % strips * kColumns;
                        const int64_t last = std::min(columns, first + kColumns);
                        for (int64_t r = 0; r < rows; ++r) {
                          for (int64_t c = first; c < last; ++c)
                            y[c * rows + r] = x[r * columns + c];
                        }
                      }
                    });
}

// The weight is constant, of one group or depthwise. Images that do not lie channels last are
// turned in the workspace, before and behind.
class PackedConvKernel : public CpuKernel {
 public:
  explicit PackedConvKernel(const KernelContext& context)
      : conv_(kernels::conv_int8_kernels(context.isa)),
        places_(places_of(context.node)),
        layouts_(context.layouts),
        settings_(context, static_cast<int>(places_.w)),
        weight_shape_(context.constant(static_cast<int>(places_.w))->shape()) {
    const kernels::PackedConvArgs sizes = packed_sizes(context, static_cast<int>(places_.w));
    weight_.emplace(context, *constant_factor(context, places_), &sizes);
  }

  bool absorbs(int input) const override {
    return static_cast<std::size_t>(input) == places_.w ||
           static_cast<std::size_t>(input) == places_.w_zero;
  }

 protected:
  std::size_t shared_workspace(const Shape& x, const Shape& y, int threads) const {
    return (turns_input(x) ? turned_bytes(x) : 0) +
           conv_.workspace(sizes_of(x, y), /*of_bytes=*/true, threads);
  }

  // Without what becomes of the sums. `free` is moved behind what is taken of it.
  kernels::Int8ConvArgs args_of(const KernelRun& run, std::byte*& free) const {
    const Tensor& x = run.inputs[places_.x];
    kernels::Int8ConvArgs args{.conv = sizes_of(x.shape(), run.outputs[0].shape())};
    args.x_bytes = turns_input(x.shape()) ? turned(run, x, free) : x.data();
    args.x_type = byte_type(x.dtype(), PerIndex(run, places_.x_zero, 0).integer(0));
    args.packed = weight_->data();
    return args;
  }

  bool turns_input(const Shape& x) const { return !layouts_.input && layouts_differ(x); }
  static std::size_t turned_bytes(const Shape& shape) {
    return workspace_bytes(bytes_of(Dtype::i8, element_count(shape)));
  }
  std::byte* turned(const KernelRun& run, const Tensor& tensor, std::byte*& free) const {
    std::byte* to = free;
    const Shape& shape = tensor.shape();
    conv_.transpose(tensor.data(), shape[0], shape[1], area_of(shape), to, run.pool);
    free += turned_bytes(shape);
    return to;
  }

  const kernels::ConvInt8Kernels& conv_;
  Places places_;
  Layouts layouts_;
  int64_t channels() const { return weight_->n(); }

 private:
  kernels::PackedConvArgs sizes_of(const Shape& x, const Shape& y) const {
    return packed_sizes(settings_, x, weight_shape_, y);
  }

  std::optional<PackedBytes> weight_;

  ConvSettings settings_;
  Shape weight_shape_;
};

class PackedIntegerKernel final : public PackedConvKernel {
 public:
  using PackedConvKernel::PackedConvKernel;

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int threads) const override {
    return workspace_bytes(bytes_of(Dtype::i32, element_count(outputs[0]))) +
           shared_workspace(inputs[places_.x], outputs[0], threads);
  }

  void run(const KernelRun& run) const override {
    Tensor& y = run.outputs[0];
    if (y.size() == 0) return;
    auto* sums = reinterpret_cast<int32_t*>(run.workspace);
    std::byte* free = run.workspace + workspace_bytes(bytes_of(Dtype::i32, y.size()));
    kernels::Int8ConvArgs args = args_of(run, free);
    args.sums = sums;
    args.workspace = free;
    conv_.conv(args, run.pool);
    turn_sums(sums, y.shape()[0], area_of(y.shape()), y.shape()[1], elements<int32_t>(y), run.pool);
  }
};

class PackedLinearKernel final : public PackedConvKernel {
 public:
  explicit PackedLinearKernel(const KernelContext& context)
      : PackedConvKernel(context),
        own_dtype_(context.output_dtype(0)),
        has_bias_(context.node.input(static_cast<int>(kLinear.bias)) != nullptr),
        epilogue_(context.epilogue) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int threads) const override {
    const Shape& y = outputs[0];
    std::size_t bytes = workspace_bytes(bytes_of(Dtype::f32, channels()));
    if (turns_output(y)) bytes += turned_bytes(y) * (epilogue_.residual ? 2 : 1);
    return bytes + shared_workspace(inputs[places_.x], y, threads);
  }

  void run(const KernelRun& run) const override {
    Tensor& y = run.outputs[0];
    if (y.size() == 0) return;
    auto* scales = reinterpret_cast<float*>(run.workspace);
    output_scales(run, places_, 0, {scales, static_cast<std::size_t>(channels())});
    std::byte* free = run.workspace + workspace_bytes(bytes_of(Dtype::f32, channels()));
    kernels::Int8ConvArgs args = args_of(run, free);
    args.bytes.type = byte_type(own_dtype_, PerIndex(run, places_.y_zero, 0).integer(0));
    args.bytes.relu = epilogue_.activation == Activation::relu;
    if (has_bias_) args.bytes.bias = bias_of(run, places_);
    args.bytes.scales = scales;
    if (epilogue_.residual) add_residual(run, args.bytes, free);
    args.bytes.y = y.data();
    const bool turns = turns_output(y.shape());
    if (turns) {
      args.bytes.y = free;
      free += turned_bytes(y.shape());
    }
    args.workspace = free;
    conv_.conv(args, run.pool);
    if (turns) {
      conv_.transpose(args.bytes.y, y.shape()[0], area_of(y.shape()), y.shape()[1], y.data(),
                      run.pool);
    }
  }

 private:
  bool turns_output(const Shape& y) const { return !layouts_.output && layouts_differ(y); }

  void add_residual(const KernelRun& run, kernels::Int8ConvBytes& bytes, std::byte*& free) const {
    const Tensor& residual = run.inputs.back();
    const LinearSum& sum = *epilogue_.sum;
    TERCEL_CHECK(residual.size() == run.outputs[0].size());
    bytes.residual.bytes =
        turns_output(residual.shape()) ? turned(run, residual, free) : residual.data();
    bytes.residual.type = byte_type(residual.dtype(), sum.residual_zero);
    bytes.residual.scale = sum.residual_scale;
    bytes.own_scale = sum.own_scale;
    bytes.sum_type = byte_type(run.outputs[0].dtype(), sum.zero);
    bytes.sum_relu = epilogue_.last == Activation::relu;
  }

  Dtype own_dtype_;
  bool has_bias_;  // what is at its place may be a residual
  Epilogue epilogue_;
};

class ConvKernel final : public CpuKernel {
 public:
  explicit ConvKernel(const KernelContext& context)
      : node_(context.node),
        groups_(context.node.int_or("group", 1)),
        places_(context.node.is("QLinearConv") ? kLinear : kInteger) {}

  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[places_.x].shape();
    const Shape& w = run.inputs[places_.w].shape();
    const Shape& out = run.outputs[0].shape();
    if (run.outputs[0].size() == 0) return;
    const SlideAxes axes =
        slide_axes(node_, window_of(node_, in.size() - 2, {w.begin() + 2, w.end()}), in, out);
    const PerIndex x_zero(run, places_.x_zero, 0);
    const PerIndex w_zero(run, places_.w_zero, 0);
    const Finish finish(run, places_);
    const int32_t* bias = bias_of(run, places_);
    const int64_t area = axes[0].out * axes[1].out * axes[2].out;
    const int64_t row = product(w, 1, static_cast<int>(w.size()));
    const int64_t image = w[1] * axes[0].in * axes[1].in * axes[2].in;
    dispatch_factors(run, places_, [&](auto x_tag, auto w_tag) {
      using X = typename decltype(x_tag)::type;
      using W = typename decltype(w_tag)::type;
      run.pool.parallel_for(
          run.outputs[0].size(), rows_per_grain(row), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const int64_t channel = i / area % w[0];
              const int64_t group = i / area / w[0] * groups_ + channel / (w[0] / groups_);
              uint32_t sum =
                  window_sum(axes, elements<X>(run.inputs[places_.x]) + group * image,
                             x_zero.integer(0), elements<W>(run.inputs[places_.w]) + channel * row,
                             w_zero.integer(channel), w[1], i % area);
              if (bias != nullptr) sum += static_cast<uint32_t>(bias[channel]);
              finish.put(run.outputs[0], i, static_cast<int32_t>(sum), 0, channel);
            }
          });
    });
  }

 private:
  // The padding is the zero point, which adds nothing.
  template <class X, class W>
  static uint32_t window_sum(const SlideAxes& axes, const X* x, int32_t x_zero, const W* w,
                             int32_t w_zero, int64_t channels, int64_t position) {
    const int64_t oz = position / axes[2].out / axes[1].out;
    const int64_t oy = position / axes[2].out % axes[1].out;
    const int64_t ox = position % axes[2].out;
    const auto z = axes[0].taps_inside(oz);
    const auto y = axes[1].taps_inside(oy);
    const auto columns = axes[2].taps_inside(ox);
    uint32_t sum = 0;
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t kz = z.first; kz < z.last; ++kz) {
        for (int64_t ky = y.first; ky < y.last; ++ky) {
          const int64_t plane = c * axes[0].in + axes[0].start(oz) + kz * axes[0].dilation;
          const int64_t line = plane * axes[1].in + axes[1].start(oy) + ky * axes[1].dilation;
          const X* from = x + line * axes[2].in + axes[2].start(ox);
          const W* taps = w + ((c * axes[0].kernel + kz) * axes[1].kernel + ky) * axes[2].kernel;
          for (int64_t kx = columns.first; kx < columns.last; ++kx)
            add_product(sum, from[kx * axes[2].dilation] - x_zero, taps[kx] - w_zero);
        }
      }
    }
    return sum;
  }

  const ir::Node& node_;
  int64_t groups_;
  Places places_;
};

std::string refuse_packed_conv_products(const KernelContext& context) {
  if (std::string reason = refuse_bytes(context); !reason.empty()) return reason;
  const auto weight = constant_factor(context, places_of(context.node));
  if (!weight) return "the weight is not constant";
  if (weight->values.rank() < 3 || weight->values.size() == 0) return "the weight is empty";
  const Shape& shape = weight->values.shape();
  const int64_t groups = context.node.int_or("group", 1);
  if (groups != 1 && (shape[0] != groups || shape[1] != 1)) return "has groups of several channels";
  if (std::string reason = PackedBytes::refuse(*weight); !reason.empty()) return reason;
  return refuse_many_dimensions(context);
}

}  // namespace

const CpuImplementation kConvIntegerCpu[2] = {
    {"conv_int8", refuse_packed_conv_products, create_kernel<PackedIntegerKernel>},
    {"conv_integer", refuse_bytes, create_kernel<ConvKernel>}};
const CpuImplementation kLinearConvCpu[2] = {
    {"conv_int8", refuse_packed_conv_products, create_kernel<PackedLinearKernel>, true, true},
    {"conv_integer", refuse_bytes, create_kernel<ConvKernel>}};

}  // namespace tercel::ops
