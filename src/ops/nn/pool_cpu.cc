#include <cmath>
#include <limits>
#include <optional>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/nn/nn_cpu.h"
#include "src/ops/nn/window_cpu.h"

namespace tercel::ops {
namespace {

// One result for each channel of each item. Sums are in f64.
class GlobalKernel final : public CpuKernel {
 public:
  explicit GlobalKernel(const KernelContext& context)
      : max_(context.node.is("GlobalMaxPool")),
        lp_(context.node.is("GlobalLpPool")),
        p_(static_cast<double>(context.node.int_or("p", 2))) {}

  void run(const KernelRun& run) const override {
    if (run.outputs[0].size() == 0) return;
    const Shape& shape = run.inputs[0].shape();
    const int64_t area = product(shape, 2, static_cast<int>(shape.size()));
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      run.pool.parallel_for(run.outputs[0].size(), rows_per_grain(area),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; ++i)
                                y[i] = narrow<T>(of_plane(x + i * area, area));
                            });
    });
  }

 private:
  template <class T>
  double of_plane(const T* x, int64_t count) const {
    if (max_) return greatest(x, count);
    return lp_ ? norm(x, count) : average(x, count);
  }
  template <class T>
  static double average(const T* x, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += widen(x[i]);
    return sum / static_cast<double>(count);
  }
  template <class T>
  static double greatest(const T* x, int64_t count) {
    double best = -INFINITY;
    for (int64_t i = 0; i < count; ++i) {
      const double value = widen(x[i]);
      if (value > best || std::isnan(value)) best = value;
    }
    return best;
  }
  template <class T>
  double norm(const T* x, int64_t count) const {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += std::pow(std::abs(widen(x[i])), p_);
    return std::pow(sum, 1 / p_);
  }
  bool max_;
  bool lp_;
  double p_;
};

// Calls body(row, first, last, line, step) for each tap: outputs [first, last) of a row see
// line[o * step]. All outputs of the row at (oz, oy) of a plane `x`.
template <class T, class Body>
void for_each_tap(const SlideAxes& axes, const T* x, int64_t oz, int64_t oy, Body body) {
  const SlideAxis& across = axes[2];
  const auto z = axes[0].taps_inside(oz);
  const auto y = axes[1].taps_inside(oy);
  for (int64_t kz = z.first; kz < z.last; ++kz) {
    for (int64_t ky = y.first; ky < y.last; ++ky) {
      const int64_t row = (axes[0].start(oz) + kz * axes[0].dilation) * axes[1].in +
                          axes[1].start(oy) + ky * axes[1].dilation;
      // Taps that no output sees would make a window of a great kernel slow.
      const int64_t low = across.taps_inside(across.out - 1).first;
      const int64_t high = across.taps_inside(0).last;
      for (int64_t kx = low; kx < high; ++kx) {
        const int64_t shift = kx * across.dilation - across.begin;
        const int64_t first = shift < 0 ? (-shift + across.stride - 1) / across.stride : 0;
        const int64_t last =
            shift < across.in
                ? std::min(across.out, (across.in - shift + across.stride - 1) / across.stride)
                : 0;
        if (first < last) body(first, last, x + row * across.in + shift);
      }
    }
  }
}

// A row at a time, tap by tap, so that the compiler sees plain loops over outputs.
class WindowKernel : public CpuKernel {
 public:
  explicit WindowKernel(const KernelContext& context) : node_(context.node) {
    const ir::Type* type = context.facts.type(context.node.input(0));
    if (type != nullptr && type->has_rank() && node_.has_attribute("kernel_shape"))
      window_ = window_of(node_, static_cast<std::size_t>(type->rank()) - 2);
  }

 protected:
  SlideAxes axes_of(const KernelRun& run) const {
    const Shape& in = run.inputs[0].shape();
    const Shape& out = run.outputs[0].shape();
    if (window_) return slide_axes(node_, *window_, in, out);
    return slide_axes(node_, window_of(node_, in.size() - 2), in, out);
  }
  // body(plane, oz, oy, row) for every row of outputs.
  template <class Body>
  static void for_each_row(const SlideAxes& axes, const KernelRun& run, Body body) {
    if (run.outputs[0].size() == 0) return;
    const int64_t rows = axes[0].out * axes[1].out;
    const int64_t taps = std::min<int64_t>(axes[0].kernel, axes[0].in) *
                         std::min<int64_t>(axes[1].kernel, axes[1].in);
    const int64_t count = run.outputs[0].size() / axes[2].out;
    run.pool.parallel_for(
        count, rows_per_grain(taps * axes[2].in), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i)
            body(i / rows, i % rows / axes[1].out, i % axes[1].out, i * axes[2].out);
        });
  }
  static int64_t plane_size(const SlideAxes& axes) { return axes[0].in * axes[1].in * axes[2].in; }

  const ir::Node& node_;
  std::optional<Window> window_;  // when it is known before the run
};

using PoolTypes = decltype(FloatTypes{} + Types<int8_t, uint8_t>{});

template <class C>
bool is_nan(C value) {
  if constexpr (std::is_floating_point_v<C>) return std::isnan(value);
  return false;
}

template <class C>
constexpr C lowest() {
  if constexpr (std::is_floating_point_v<C>)
    return -std::numeric_limits<C>::infinity();
  else
    return std::numeric_limits<C>::lowest();
}

class MaxKernel final : public WindowKernel {
 public:
  explicit MaxKernel(const KernelContext& context)
      : WindowKernel(context), by_columns_(context.node.int_or("storage_order", 0) != 0) {}

  void run(const KernelRun& run) const override {
    const SlideAxes axes = axes_of(run);
    const bool indexed = run.outputs.size() > 1 && run.outputs[1].defined();
    dispatch_dtype(PoolTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      int64_t* places = indexed ? elements<int64_t>(run.outputs[1]) : nullptr;
      for_each_row(axes, run, [&](int64_t plane, int64_t oz, int64_t oy, int64_t at) {
        const T* from = x + plane * plane_size(axes);
        if (places == nullptr)
          fold_row(axes, from, oz, oy, y + at);
        else
          find_row(axes, from, plane, oz, oy, y + at, places + at);
      });
    });
  }

 private:
  template <class T>
  static void fold_row(const SlideAxes& axes, const T* x, int64_t oz, int64_t oy, T* row) {
    const int64_t step = axes[2].stride;
    std::fill_n(row, axes[2].out, store<T>(lowest<ComputeType<T>>()));
    for_each_tap(axes, x, oz, oy, [&](int64_t first, int64_t last, const T* line) {
      for (int64_t o = first; o < last; ++o) {
        const auto value = load(line[o * step]);
        // NaN wins, and stays.
        if (value > load(row[o]) || is_nan(value)) row[o] = line[o * step];
      }
    });
  }

  template <class T>
  void find_row(const SlideAxes& axes, const T* x, int64_t plane, int64_t oz, int64_t oy, T* row,
                int64_t* places) const {
    const int64_t step = axes[2].stride;
    std::fill_n(row, axes[2].out, store<T>(lowest<ComputeType<T>>()));
    std::fill_n(places, axes[2].out, -1);
    for_each_tap(axes, x, oz, oy, [&](int64_t first, int64_t last, const T* line) {
      for (int64_t o = first; o < last; ++o) {
        const auto value = load(line[o * step]);
        if (places[o] >= 0 && !(value > load(row[o]))) continue;
        row[o] = line[o * step];
        places[o] = plane * plane_size(axes) + place_of(axes, line - x + o * step);
      }
    });
  }

  int64_t place_of(const SlideAxes& axes, int64_t at) const {
    if (!by_columns_) return at;
    const int64_t x = at % axes[2].in;
    const int64_t y = at / axes[2].in % axes[1].in;
    const int64_t z = at / axes[2].in / axes[1].in;
    return z + axes[0].in * (y + axes[1].in * x);
  }

  bool by_columns_;
};

// Averages and p-norms: sums in f64, ascending over the window.
class SumKernel final : public WindowKernel {
 public:
  explicit SumKernel(const KernelContext& context)
      : WindowKernel(context),
        lp_(context.node.is("LpPool")),
        with_pads_(context.node.int_or("count_include_pad", 0) != 0),
        p_(static_cast<double>(context.node.int_or("p", 2))) {}

  void run(const KernelRun& run) const override {
    const SlideAxes axes = axes_of(run);
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      for_each_row(axes, run, [&](int64_t plane, int64_t oz, int64_t oy, int64_t at) {
        const T* from = x + plane * plane_size(axes);
        std::vector<double> sums(static_cast<std::size_t>(axes[2].out));
        add_row(axes, from, oz, oy, sums.data());
        for (int64_t o = 0; o < axes[2].out; ++o) {
          const double sum = sums[static_cast<std::size_t>(o)];
          y[at + o] = narrow<T>(lp_ ? std::pow(sum, 1 / p_) : sum / counted(axes, oz, oy, o));
        }
      });
    });
  }

 private:
  template <class T>
  void add_row(const SlideAxes& axes, const T* x, int64_t oz, int64_t oy, double* sums) const {
    const int64_t step = axes[2].stride;
    for_each_tap(axes, x, oz, oy, [&](int64_t first, int64_t last, const T* line) {
      for (int64_t o = first; o < last; ++o) {
        const double value = widen(line[o * step]);
        sums[o] += lp_ ? std::pow(std::abs(value), p_) : value;
      }
    });
  }

  double counted(const SlideAxes& axes, int64_t oz, int64_t oy, int64_t ox) const {
    double count = 1;
    const std::array<int64_t, kMaxSpatial> at{oz, oy, ox};
    for (std::size_t d = 0; d < kMaxSpatial; ++d) {
      const SlideAxis& axis = axes[d];
      const auto taps =
          with_pads_ ? axis.taps(at[d], -axis.begin, axis.in + axis.end) : axis.taps_inside(at[d]);
      count *= static_cast<double>(taps.count());
    }
    return count;
  }

  bool lp_;
  bool with_pads_;
  double p_;
};

// Maxima and averages of f32 images, and maxima of bytes, that lie channels last.
class ChannelsLastKernel final : public WindowKernel {
 public:
  explicit ChannelsLastKernel(const KernelContext& context)
      : WindowKernel(context),
        pool_(kernels::cpu_kernels(context.isa).pool),
        max_(context.node.is("MaxPool")),
        global_(context.node.is("GlobalAveragePool")),
        with_pads_(context.node.int_or("count_include_pad", 0) != 0) {}

  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    if (run.outputs[0].size() == 0) return;
    kernels::PoolArgs args{.batch = shape[0], .channels = shape[1], .with_pads = with_pads_};
    if (global_) {
      args.axes[2].in = args.axes[2].taps = product(shape, 2, static_cast<int>(shape.size()));
    } else {
      const SlideAxes axes = axes_of(run);
      for (std::size_t d = 0; d < kMaxSpatial; ++d) {
        args.axes[d] = {axes[d].in,     axes[d].out,      axes[d].kernel,
                        axes[d].stride, axes[d].dilation, axes[d].begin};
        args.end_pads[d] = axes[d].end;
      }
    }
    const Tensor& x = run.inputs[0];
    if (x.dtype() != Dtype::f32) {
      args.x_bytes = x.data();
      args.y_bytes = run.outputs[0].data();
      args.is_signed = x.dtype() == Dtype::i8;
      return pool_.max_bytes(args, run.pool);
    }
    args.x = elements<float>(x);
    args.y = elements<float>(run.outputs[0]);
    (max_ ? pool_.max : pool_.average)(args, run.pool);
  }

 private:
  const kernels::PoolKernels& pool_;
  bool max_;
  bool global_;
  bool with_pads_;
};

std::string refuse_channels_last(const KernelContext& context) {
  const Dtype dtype = context.input_dtype(0);
  const bool bytes = dtype == Dtype::i8 || dtype == Dtype::u8;
  if (!bytes || !context.node.is("MaxPool")) {
    if (std::string reason = refuse_unless_f32(context); !reason.empty()) return reason;
  }
  if (!context.layouts.input) return "the input does not lie channels last";
  // One pixel lies in both ways.
  if (!context.layouts.output && !context.node.is("GlobalAveragePool"))
    return "the output does not lie channels last";
  return context.node.output(1) != nullptr ? "the places of the maxima are wanted" : "";
}

// Its output, of one pixel, lies in both ways.
std::string refuse_global(const KernelContext& context) {
  if (context.layouts.input) return "the input lies channels last";
  return refuse_input0<FloatTypes>(context);
}

constexpr CpuImplementation kGlobalAverage[] = {
    {"pool_channels_last", refuse_channels_last, create_kernel<ChannelsLastKernel>, false, true},
    {"pool_global", refuse_global, create_kernel<GlobalKernel>, false, true}};
constexpr CpuImplementation kGlobal[] = {
    {"pool_global", refuse_input0<FloatTypes>, create_kernel<GlobalKernel>}};
constexpr CpuImplementation kMax[] = {
    {"pool_channels_last", refuse_channels_last, create_kernel<ChannelsLastKernel>, false, true},
    {"pool_max", refuse_input0<PoolTypes>, create_kernel<MaxKernel>}};
constexpr CpuImplementation kAverage[] = {
    {"pool_channels_last", refuse_channels_last, create_kernel<ChannelsLastKernel>, false, true},
    {"pool_sum", refuse_input0<FloatTypes>, create_kernel<SumKernel>}};
constexpr CpuImplementation kSum[] = {
    {"pool_sum", refuse_input0<FloatTypes>, create_kernel<SumKernel>}};
constexpr CpuOp kPoolOps[] = {
    {"", "AveragePool", kAverage}, {"", "GlobalAveragePool", kGlobalAverage},
    {"", "GlobalLpPool", kGlobal}, {"", "GlobalMaxPool", kGlobal},
    {"", "LpPool", kSum},          {"", "MaxPool", kMax}};

}  // namespace

CpuFamily pool_cpu_ops() { return kPoolOps; }

}  // namespace tercel::ops
