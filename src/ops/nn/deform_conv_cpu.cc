#include <cmath>

#include "src/ops/nn/nn_cpu.h"
#include "src/ops/nn/window_cpu.h"

namespace tercel::ops {
namespace {

// The value of a plane between its pixels; zero outside.
template <class T>
double between(const T* plane, int64_t height, int64_t width, double y, double x) {
  const bool near =
      y > -1 && x > -1 && y < static_cast<double>(height) && x < static_cast<double>(width);
  if (!near) return 0;
  const auto top = static_cast<int64_t>(std::floor(y));
  const auto left = static_cast<int64_t>(std::floor(x));
  const double dy = y - static_cast<double>(top);
  const double dx = x - static_cast<double>(left);
  const auto pixel = [&](int64_t row, int64_t column) {
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? static_cast<double>(widen(plane[row * width + column])) : 0.0;
  };
  return (1 - dy) * ((1 - dx) * pixel(top, left) + dx * pixel(top, left + 1)) +
         dy * ((1 - dx) * pixel(top + 1, left) + dx * pixel(top + 1, left + 1));
}

// Two spatial dimensions (Dai et al., "Deformable Convolutional Networks", 2017).
class DeformConvKernel final : public CpuKernel {
 public:
  explicit DeformConvKernel(const KernelContext& context)
      : node_(context.node),
        groups_(context.node.int_or("group", 1)),
        offset_groups_(context.node.int_or("offset_group", 1)) {}

  void run(const KernelRun& run) const override {
    const Shape& w = run.inputs[1].shape();
    const Shape& out = run.outputs[0].shape();
    if (run.outputs[0].size() == 0) return;
    const SlideAxes axes =
        slide_axes(node_, window_of(node_, 2, {w[2], w[3]}), run.inputs[0].shape(), out);
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      run.pool.parallel_for(run.outputs[0].size(), rows_per_grain(16 * w[1] * w[2] * w[3]),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; ++i)
                                elements<T>(run.outputs[0])[i] = narrow<T>(one<T>(run, axes, i));
                            });
    });
  }

 private:
  template <class T>
  double one(const KernelRun& run, const SlideAxes& axes, int64_t index) const {
    const Shape& in = run.inputs[0].shape();
    const Shape& w = run.inputs[1].shape();
    const SlideAxis& rows = axes[1];
    const SlideAxis& columns = axes[2];
    const int64_t area = rows.out * columns.out;
    const int64_t position = index % area;
    const int64_t m = index / area % w[0];
    const int64_t batch = index / area / w[0];
    const int64_t taps = w[2] * w[3];
    const int64_t group = m / (w[0] / groups_);
    double sum = given(run, 3) ? widen(elements<T>(run.inputs[3])[m]) : 0;
    for (int64_t c = 0; c < w[1]; ++c) {
      const int64_t channel = group * w[1] + c;
      const T* plane = elements<T>(run.inputs[0]) + (batch * in[1] + channel) * in[2] * in[3];
      const int64_t offsets = batch * offset_groups_ + channel / (in[1] / offset_groups_);
      for (int64_t t = 0; t < taps; ++t) {
        const T* shift = elements<T>(run.inputs[2]) + (offsets * taps + t) * 2 * area + position;
        const int64_t row = rows.start(position / columns.out) + t / w[3] * rows.dilation;
        const int64_t column = columns.start(position % columns.out) + t % w[3] * columns.dilation;
        const double y = static_cast<double>(row) + widen(shift[0]);
        const double x = static_cast<double>(column) + widen(shift[area]);
        double value = between(plane, in[2], in[3], y, x);
        if (given(run, 4))
          value *= widen(elements<T>(run.inputs[4])[(offsets * taps + t) * area + position]);
        sum += value * widen(elements<T>(run.inputs[1])[(m * w[1] + c) * taps + t]);
      }
    }
    return sum;
  }
  static bool given(const KernelRun& run, std::size_t index) {
    return index < run.inputs.size() && run.inputs[index].defined();
  }

  const ir::Node& node_;
  int64_t groups_;
  int64_t offset_groups_;
};

constexpr CpuImplementation kDeformConvImplementations[] = {
    {"deform_conv", refuse_input0<FloatTypes>, create_kernel<DeformConvKernel>}};
constexpr CpuOp kDeformConvOps[] = {{"", "DeformConv", kDeformConvImplementations}};

}  // namespace

CpuFamily deform_conv_cpu_ops() { return kDeformConvOps; }

}  // namespace tercel::ops
