#include "src/ops/nn/conv_cpu.h"
#include "src/ops/quantization/products_cpu.h"

namespace tercel::ops {
namespace {

const Places& places_of(const ir::Node& node) {
  return node.is("QLinearConv") ? kLinear : kInteger;
}

// [batch, rows, columns] to [batch, columns, rows], a few columns at a time: their lines stay in a
// near cache.
template <class T>
void turn(const T* from, int64_t batch, int64_t rows, int64_t columns, T* to, ThreadPool& pool) {
  constexpr int64_t kColumns = 16;
  const int64_t strips = (columns + kColumns - 1) / kColumns;
  pool.parallel_for(batch * strips, rows_per_grain(rows * kColumns),
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) {
                        const T* x = from + i / strips * rows * columns;
                        T* y = to + i / strips * rows * columns;
                        const int64_t first = i % strips * kColumns;
                        const int64_t last = std::min(columns, first + kColumns);
                        for (int64_t r = 0; r < rows; ++r) {
                          for (int64_t c = first; c < last; ++c)
                            y[c * rows + r] = x[r * columns + c];
                        }
                      }
                    });
}

// The weight is constant, of one group. What comes and goes lies as its shape says.
class PackedConvKernel final : public CpuKernel {
 public:
  explicit PackedConvKernel(const KernelContext& context)
      : conv_(kernels::conv_int8_kernels(context.isa)),
        quantize_(kernels::cpu_kernels(context.isa).quantize),
        places_(places_of(context.node)),
        settings_(context, static_cast<int>(places_.w)),
        weight_shape_(context.constant(static_cast<int>(places_.w))->shape()),
        weight_(context, *constant_factor(context, places_)) {}

  bool absorbs(int input) const override {
    return static_cast<std::size_t>(input) == places_.w ||
           static_cast<std::size_t>(input) == places_.w_zero;
  }

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape> outputs,
                        int threads) const override {
    const int64_t count = element_count(outputs[0]);
    const std::size_t rounded = is_linear() ? workspace_bytes(bytes_of(Dtype::i8, count)) : 0;
    return workspace_bytes(bytes_of(Dtype::i32, count)) + rounded +
           conv_.workspace(sizes_of(inputs[places_.x], outputs[0]), threads);
  }

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[places_.x];
    Tensor& out = run.outputs[0];
    if (out.size() == 0) return;
    auto* sums = reinterpret_cast<int32_t*>(run.workspace);
    std::byte* free = run.workspace + workspace_bytes(bytes_of(Dtype::i32, out.size()));
    std::byte* rounded = free;
    if (is_linear()) free += workspace_bytes(out.bytes());
    const kernels::PackedConvArgs sizes = sizes_of(x.shape(), out.shape());
    conv_.conv({.conv = sizes,
                .x_bytes = x.data(),
                .x_signed = x.dtype() == Dtype::i8,
                .x_zero = PerIndex(run, places_.x_zero, 0).integer(0),
                .packed = weight_.data(),
                .sums = sums,
                .workspace = free},
               run.pool);
    const int64_t channels = weight_.n(), rows = out.size() / channels, area = rows / sizes.batch;
    if (!is_linear())
      return turn(sums, sizes.batch, area, channels, elements<int32_t>(out), run.pool);
    requantize(run, places_, quantize_, sums, rows, channels, rounded);
    turn(rounded, sizes.batch, area, channels, static_cast<std::byte*>(out.data()), run.pool);
  }

 private:
  bool is_linear() const { return places_.y_scale != kNone; }

  kernels::PackedConvArgs sizes_of(const Shape& x, const Shape& y) const {
    const kernels::ConvArgs sizes = settings_.sizes(x, weight_shape_, y);
    kernels::PackedConvArgs args{.batch = sizes.batch};
    args.in_channels = sizes.in_channels;
    args.out_channels = sizes.out_channels;
    std::copy(std::begin(sizes.axes), std::end(sizes.axes), args.axes);
    return args;
  }

  const kernels::ConvInt8Kernels& conv_;
  const kernels::QuantizeKernels& quantize_;
  Places places_;
  ConvSettings settings_;
  Shape weight_shape_;
  PackedBytes weight_;
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
  if (context.node.int_or("group", 1) != 1) return "has several groups";
  const auto weight = constant_factor(context, places_of(context.node));
  if (!weight) return "the weight is not constant";
  if (weight->values.rank() < 3 || weight->values.size() == 0) return "the weight is empty";
  if (std::string reason = PackedBytes::refuse(*weight); !reason.empty()) return reason;
  return refuse_many_dimensions(context);
}

}  // namespace

const CpuImplementation kConvIntegerCpu[2] = {
    {"conv_int8", refuse_packed_conv_products, create_kernel<PackedConvKernel>},
    {"conv_integer", refuse_bytes, create_kernel<ConvKernel>}};

}  // namespace tercel::ops
