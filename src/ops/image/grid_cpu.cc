#include <algorithm>
#include <cmath>

#include "src/ops/image/image_cpu.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

class AffineKernel final : public CpuKernel {
 public:
  explicit AffineKernel(const KernelContext& context)
      : corners_(context.node.int_or("align_corners", 0) != 0) {}

  void run(const KernelRun& run) const override {
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const Shape& shape = run.outputs[0].shape();
      const int64_t rank = shape.back();
      const int64_t positions = product(shape, 1, static_cast<int>(shape.size()) - 1);
      T* y = elements<T>(run.outputs[0]);
      run.pool.parallel_for(
          shape[0] * positions, rows_per_grain(rank * rank), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const T* theta = elements<T>(run.inputs[0]) + i / positions * rank * (rank + 1);
              transform(theta, shape, i % positions, rank, y + i * rank);
            }
          });
    });
  }

 private:
  // The place of element `index` of `size`, from -1 to 1.
  double place(int64_t index, int64_t size) const {
    const auto at = static_cast<double>(index);
    const auto count = static_cast<double>(size);
    if (corners_) return size == 1 ? -1 : 2 * at / (count - 1) - 1;
    return (2 * at + 1) / count - 1;
  }
  template <class T>
  void transform(const T* theta, const Shape& shape, int64_t position, int64_t rank, T* y) const {
    double at[3] = {};
    for (int64_t d = 0; d < rank; ++d) {  // coordinates stand innermost dimension first
      const int64_t size = shape[static_cast<std::size_t>(rank - d)];
      at[d] = place(position % size, size);
      position /= size;
    }
    for (int64_t r = 0; r < rank; ++r, theta += rank + 1) {
      double sum = widen(theta[rank]);
      for (int64_t d = 0; d < rank; ++d) sum += widen(theta[d]) * at[d];
      y[r] = narrow<T>(sum);
    }
  }

  bool corners_;
};

enum class Padding { zeros, border, reflection };
enum class GridMode { nearest, linear, cubic };

double reflected(double x, double low, double high) {
  const double range = high - low;
  if (range <= 0) return low;
  if (x >= low && x <= high) return x;
  const double away = x < low ? low - x : x - high;
  const double turns = std::floor(away / range);
  const double rest = away - turns * range;
  const bool even = std::fmod(turns, 2) == 0;
  return (x < low) == even ? low + rest : high - rest;
}

class SampleKernel final : public CpuKernel {
 public:
  explicit SampleKernel(const KernelContext& context)
      : label_(context.node.label()), corners_(context.node.int_or("align_corners", 0) != 0) {
    const std::string mode = context.node.string_or("mode", "linear");
    const std::string padding = context.node.string_or("padding_mode", "zeros");
    mode_ = mode == "nearest" ? GridMode::nearest
            : mode == "cubic" ? GridMode::cubic
                              : GridMode::linear;
    padding_ = padding == "border"       ? Padding::border
               : padding == "reflection" ? Padding::reflection
                                         : Padding::zeros;
  }

  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[0].shape();
    const Shape& out = run.outputs[0].shape();
    if (run.outputs[0].size() == 0) return;
    const auto rank = static_cast<int64_t>(in.size()) - 2;
    if (rank > kMaxRank) {
      fail(Errc::unsupported, "{} has {} spatial dimensions; at most {} are supported", label_,
           rank, kMaxRank);
    }
    const int64_t positions = product(out, 2, static_cast<int>(out.size()));
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      dispatch_dtype(FloatTypes{}, run.inputs[1].dtype(), [&](auto grid_tag) {
        using G = typename decltype(grid_tag)::type;
        const G* grid = elements<G>(run.inputs[1]);
        run.pool.parallel_for(
            in[0] * positions, rows_per_grain(16 * in[1]), [&](int64_t begin, int64_t end) {
              for (int64_t i = begin; i < end; ++i)
                sample<T>(run, i / positions, i % positions, positions, grid + i * rank);
            });
      });
    });
  }

 private:
  static constexpr int64_t kMaxRank = 4;
  static constexpr int kMaxTaps = 4;

  // What one dimension contributes: indices (-1: nothing is there) and weights.
  struct Taps {
    int64_t index[kMaxTaps];
    double weight[kMaxTaps];
    int count;
  };

  Taps taps_of(double x, int64_t size) const {
    const auto length = static_cast<double>(size);
    // Beyond this nothing differs, and a NaN is nowhere.
    constexpr double kFar = 1e9;
    x = std::isnan(x) ? -kFar : std::clamp(x, -kFar, kFar);
    double at = corners_ ? (x + 1) / 2 * (length - 1) : ((x + 1) * length - 1) / 2;
    if (mode_ == GridMode::nearest) at = std::nearbyint(at);
    const double low = corners_ ? 0 : -0.5;
    const double high = corners_ ? length - 1 : length - 0.5;
    // The pixels of a cubic are folded back each for itself.
    if (mode_ != GridMode::cubic && (at < low || at > high)) {
      if (padding_ == Padding::border) at = std::clamp(at, 0.0, length - 1);
      if (padding_ == Padding::reflection) at = reflected(at, low, high);
    }
    const double base = std::floor(at);
    const double part = at - base;
    const auto first = static_cast<int64_t>(base);
    Taps taps{};
    const auto add = [&](int64_t index, double weight) {
      taps.index[taps.count] = pixel(index, size, low, high);
      taps.weight[taps.count++] = weight;
    };
    if (mode_ == GridMode::nearest) {
      add(first, 1);
    } else if (mode_ == GridMode::linear) {
      add(first, 1 - part);
      add(first + 1, part);
    } else {
      for (int64_t t = -1; t <= 2; ++t) add(first + t, cubic(part - static_cast<double>(t)));
    }
    return taps;
  }

  static double cubic(double distance) {
    constexpr double kA = -0.75;
    const double x = std::abs(distance);
    if (x <= 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
    return x < 2 ? ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA : 0;
  }

  int64_t pixel(int64_t index, int64_t size, double low, double high) const {
    if (index >= 0 && index < size) return index;
    if (padding_ == Padding::zeros) return -1;
    if (padding_ == Padding::border) return std::clamp<int64_t>(index, 0, size - 1);
    const auto mirrored = static_cast<int64_t>(reflected(static_cast<double>(index), low, high));
    return std::clamp<int64_t>(mirrored, 0, size - 1);
  }

  template <class T, class G>
  void sample(const KernelRun& run, int64_t item, int64_t position, int64_t positions,
              const G* grid) const {
    const Shape& in = run.inputs[0].shape();
    const auto rank = in.size() - 2;
    Taps taps[kMaxRank];
    int64_t strides[kMaxRank];
    int64_t stride = 1;
    for (std::size_t d = rank; d-- > 0;) {  // coordinates stand innermost dimension first
      taps[d] = taps_of(widen(grid[rank - 1 - d]), in[d + 2]);
      strides[d] = stride;
      stride *= in[d + 2];
    }
    for (int64_t c = 0; c < in[1]; ++c) {
      const int64_t plane = item * in[1] + c;
      const T* x = elements<T>(run.inputs[0]) + plane * stride;
      elements<T>(run.outputs[0])[plane * positions + position] =
          narrow<T>(stride == 0 ? 0.0 : weigh(x, taps, strides, 0, rank));
    }
  }

  template <class T>
  static double weigh(const T* x, const Taps* taps, const int64_t* strides, std::size_t d,
                      std::size_t rank) {
    if (d == rank) return widen(*x);
    double sum = 0;
    for (int t = 0; t < taps[d].count; ++t) {
      if (taps[d].index[t] < 0) continue;
      sum +=
          taps[d].weight[t] * weigh(x + taps[d].index[t] * strides[d], taps, strides, d + 1, rank);
    }
    return sum;
  }

  std::string label_;
  bool corners_;
  GridMode mode_ = GridMode::linear;
  Padding padding_ = Padding::zeros;
};

}  // namespace

const CpuImplementation kAffineGridCpu[1] = {
    {"affine_grid", refuse_input0<FloatTypes>, create_kernel<AffineKernel>}};
const CpuImplementation kGridSampleCpu[1] = {
    {"grid_sample", refuse_input0<FloatTypes>, create_kernel<SampleKernel>}};

}  // namespace tercel::ops
