#include <algorithm>
#include <bit>
#include <cmath>

#include "src/base/checked.h"
#include "src/ops/image/image_cpu.h"
#include "src/ops/image/resize.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

// An array in the session's memory, which has a cap.
template <class T>
class Scratch {
 public:
  Scratch(Allocator& memory, int64_t count)
      : buffer_(memory.allocate(
            static_cast<std::size_t>(checked_mul(count, static_cast<int64_t>(sizeof(T)))),
            "Resize")) {}
  T* data() const { return reinterpret_cast<T*>(buffer_->data()); }

 private:
  std::shared_ptr<Buffer> buffer_;
};

enum class ResizeMode { nearest, linear, cubic };

struct Settings {
  explicit Settings(const ir::Node& node)
      : transformation(node.string_or("coordinate_transformation_mode", "half_pixel")),
        nearest(node.string_or("nearest_mode", "round_prefer_floor")),
        antialias(node.int_or("antialias", 0) != 0),
        exclude_outside(node.int_or("exclude_outside", 0) != 0),
        cubic_a(node.float_or("cubic_coeff_a", -0.75F)),
        extrapolation(node.float_or("extrapolation_value", 0.0F)) {
    const std::string name = node.string_or("mode", "nearest");
    mode = name == "nearest"  ? ResizeMode::nearest
           : name == "linear" ? ResizeMode::linear
                              : ResizeMode::cubic;
  }
  bool crops() const { return transformation == "tf_crop_and_resize"; }

  ResizeMode mode;
  std::string transformation, nearest;
  bool antialias, exclude_outside;
  double cubic_a, extrapolation;
};

// One axis that is resized, and the part of the input that a crop begins and ends with.
struct Axis {
  ResizedAxis resized;
  int64_t in = 0;
  double roi_begin = 0, roi_end = 1;

  double source(const Settings& settings, int64_t out) const {
    const auto x = static_cast<double>(out);
    const auto width = static_cast<double>(in);
    const double length = resized.scale * width;
    const std::string& how = settings.transformation;
    if (how == "align_corners") return length == 1 ? 0 : x * (width - 1) / (length - 1);
    if (how == "asymmetric") return x / resized.scale;
    if (how == "tf_crop_and_resize") {
      const double middle = (roi_end - roi_begin) * (width - 1) / 2;
      const double at =
          length == 1 ? middle : x * (roi_end - roi_begin) * (width - 1) / (length - 1);
      return at + roi_begin * (width - 1);
    }
    if (how == "tf_half_pixel_for_nn") return (x + 0.5) / resized.scale;
    if (how == "pytorch_half_pixel" && length == 1) return 0;
    const double half = (x + 0.5) / resized.scale - 0.5;
    if (how != "half_pixel_symmetric") return half;
    return width / 2 * (1 - static_cast<double>(resized.size) / length) + half;
  }
  bool outside(const Settings& settings, double at) const {
    return settings.crops() && (at < 0 || at > static_cast<double>(in - 1));
  }
};

int64_t nearest_index(const std::string& mode, double x) {
  const double low = std::floor(x);
  const double part = x - low;
  bool up = false;
  if (part != 0) {
    up = mode == "ceil" || (mode == "round_prefer_floor" && part > 0.5) ||
         (mode == "round_prefer_ceil" && part >= 0.5);
  }
  return static_cast<int64_t>(low) + (up ? 1 : 0);
}

double linear_weight(double distance) { return std::max(0.0, 1 - std::abs(distance)); }
double cubic_weight(double distance, double a) {
  const double x = std::abs(distance);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// What every output along an axis is made of: `taps` inputs with weights.
class Weights {
 public:
  Weights(const Settings& settings, const Axis& axis, Allocator& memory)
      : taps(taps_of(settings, axis)),
        index_(memory, checked_mul(taps, axis.resized.size)),
        weight_(memory, checked_mul(taps, axis.resized.size)) {
    for (int64_t o = 0; o < axis.resized.size; ++o) fill(settings, axis, o);
  }
  const int64_t* index(int64_t out) const { return index_.data() + out * taps; }
  // NaN in front: the output lies outside of a crop.
  const double* weight(int64_t out) const { return weight_.data() + out * taps; }

  const int64_t taps;

 private:
  static double spread(const Settings& settings, const Axis& axis) {
    return settings.antialias ? std::min(axis.resized.scale, 1.0) : 1.0;
  }
  static int64_t first_tap(const Settings& settings, const Axis& axis) {
    const double reach = settings.mode == ResizeMode::linear ? 1 : 2;
    return static_cast<int64_t>(std::floor(-reach / spread(settings, axis))) + 1;
  }
  static int64_t taps_of(const Settings& settings, const Axis& axis) {
    return 2 - 2 * first_tap(settings, axis);
  }

  void fill(const Settings& settings, const Axis& axis, int64_t o) {
    int64_t* index = index_.data() + o * taps;
    double* weight = weight_.data() + o * taps;
    const double x = axis.source(settings, o);
    if (axis.outside(settings, x)) {
      std::fill_n(index, taps, 0);
      std::fill_n(weight, taps, std::nan(""));
      return;
    }
    // The neighbour on the left, which lies before x itself.
    const double base = std::ceil(x) - 1;
    const double scale = spread(settings, axis);
    double sum = 0;
    for (int64_t t = 0; t < taps; ++t) {
      const int64_t step = first_tap(settings, axis) + t;
      const double distance = scale * (static_cast<double>(step) - (x - base));
      double w = settings.mode == ResizeMode::linear ? linear_weight(distance)
                                                     : cubic_weight(distance, settings.cubic_a);
      const int64_t at = static_cast<int64_t>(base) + step;
      if (settings.exclude_outside && (at < 0 || at >= axis.in)) w = 0;
      index[t] = std::clamp<int64_t>(at, 0, axis.in - 1);
      weight[t] = w;
      sum += w;
    }
    if (!settings.antialias && !settings.exclude_outside) return;
    for (int64_t t = 0; t < taps; ++t) weight[t] /= sum;
  }

  Scratch<int64_t> index_;
  Scratch<double> weight_;
};

std::vector<float> floats_of(const Tensor& tensor) {
  std::vector<float> values;
  dispatch_dtype(FloatTypes{}, tensor.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < tensor.size(); ++i)
      values.push_back(static_cast<float>(load(elements<T>(tensor)[i])));
  });
  return values;
}

class ResizeKernel : public CpuKernel {
 public:
  explicit ResizeKernel(const KernelContext& context)
      : node_(context.node),
        settings_(context.node),
        known_(context.node.input(2) == nullptr || context.constant(2) != nullptr) {}

  bool allocates_outputs() const override { return !known_; }

  void run(const KernelRun& run) const override {
    const Tensor& in = run.inputs[0];
    const std::vector<Axis> axes = axes_of(run);
    if (!known_) {
      Shape shape = in.shape();
      for (const Axis& axis : axes) shape[axis.resized.axis] = axis.resized.size;
      run.outputs[0] = allocate_tensor(in.dtype(), shape, run.memory, "Resize");
    }
    if (run.outputs[0].size() == 0) return;
    if (in.size() == 0)
      fail(Errc::invalid_argument, "{} an empty input has nothing to resize", node_.label());
    resize(run, axes);
  }

 protected:
  virtual void resize(const KernelRun& run, const std::vector<Axis>& axes) const = 0;

  const ir::Node& node_;
  Settings settings_;

 private:
  static bool given(const KernelRun& run, std::size_t index) {
    return index < run.inputs.size() && run.inputs[index].defined() && run.inputs[index].size() > 0;
  }
  std::vector<Axis> axes_of(const KernelRun& run) const {
    const Shape& in = run.inputs[0].shape();
    std::vector<float> scales;
    std::vector<int64_t> sizes;
    if (given(run, 2))
      scales = floats_of(run.inputs[2]);
    else
      sizes = integer_values(run.inputs[3]);
    const bool by_scales = given(run, 2);
    const auto resized =
        resized_axes(node_, in, by_scales ? &scales : nullptr, by_scales ? nullptr : &sizes);
    const std::vector<float> roi = given(run, 1) ? floats_of(run.inputs[1]) : std::vector<float>();
    if (settings_.crops() && roi.size() != 2 * resized.size()) {
      fail(Errc::invalid_argument, "{} roi has {} values; expected {}", node_.label(), roi.size(),
           2 * resized.size());
    }
    std::vector<Axis> axes;
    for (std::size_t i = 0; i < resized.size(); ++i) {
      Axis axis{resized[i], in[resized[i].axis]};
      if (settings_.crops()) {
        axis.roi_begin = static_cast<double>(roi[i]);
        axis.roi_end = static_cast<double>(roi[resized.size() + i]);
      }
      const bool whole = !settings_.crops() || (axis.roi_begin == 0 && axis.roi_end == 1);
      if (axis.in != axis.resized.size || axis.resized.scale != 1 || !whole) axes.push_back(axis);
    }
    return axes;
  }

  bool known_;
};

// Each output is one input, whatever the element type.
class NearestKernel final : public ResizeKernel {
 public:
  using ResizeKernel::ResizeKernel;

 protected:
  void resize(const KernelRun& run, const std::vector<Axis>& axes) const override {
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    const std::vector<int64_t> strides = row_major(in.shape());
    std::vector<Scratch<int64_t>> places;
    std::vector<const int64_t*> of_axis(in.shape().size(), nullptr);
    for (const Axis& axis : axes) {
      places.emplace_back(run.memory, axis.resized.size);
      of_axis[axis.resized.axis] = places.back().data();
      fill(axis, places.back().data());
    }
    dispatch_element(in.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      gather(elements<T>(in), strides, of_axis, out.shape(), extrapolation_of<T>(in.dtype()),
             elements<T>(out), run.pool);
    });
  }

 private:
  void fill(const Axis& axis, int64_t* places) const {
    for (int64_t o = 0; o < axis.resized.size; ++o) {
      const double x = axis.source(settings_, o);
      places[o] = axis.outside(settings_, x)
                      ? -1
                      : std::clamp<int64_t>(nearest_index(settings_.nearest, x), 0, axis.in - 1);
    }
  }

  // The extrapolation value as the bits of an element.
  template <class Bits>
  Bits extrapolation_of(Dtype dtype) const {
    Bits bits{};
    if constexpr (std::is_integral_v<Bits>) {
      dispatch_if_numeric(dtype, [&](auto tag) {
        using T = typename decltype(tag)::type;
        if constexpr (sizeof(T) == sizeof(Bits))
          bits =
              std::bit_cast<Bits>(store<T>(static_cast<ComputeType<T>>(settings_.extrapolation)));
      });
    }
    return bits;
  }
  template <class Body>
  static void dispatch_if_numeric(Dtype dtype, Body body) {
    if (contains(NumericTypes{}, dtype)) dispatch_dtype(NumericTypes{}, dtype, body);
  }

  template <class T>
  static void gather(const T* from, const std::vector<int64_t>& strides,
                     const std::vector<const int64_t*>& places, const Shape& shape,
                     const T& outside, T* to, ThreadPool& pool) {
    const std::size_t outer = shape.size() - 1;
    const int64_t row = shape.back();
    const int64_t rows = product(shape, 0, static_cast<int>(outer));
    pool.parallel_for(rows, rows_per_grain(row), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t at = 0;
        int64_t rest = i;
        bool inside = true;
        for (std::size_t d = outer; d-- > 0;) {
          const int64_t o = rest % shape[d];
          rest /= shape[d];
          const int64_t place = places[d] != nullptr ? places[d][o] : o;
          inside = inside && place >= 0;
          at += place * strides[d];
        }
        for (int64_t o = 0; o < row; ++o) {
          const int64_t place = places[outer] != nullptr ? places[outer][o] : o;
          to[i * row + o] = inside && place >= 0 ? from[at + place] : outside;
        }
      }
    });
  }
};

// Axis by axis, each a pass over the whole. Values between the passes are f32, or f64 for f64.
class WeightedKernel final : public ResizeKernel {
 public:
  using ResizeKernel::ResizeKernel;

 protected:
  void resize(const KernelRun& run, const std::vector<Axis>& axes) const override {
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      passes<T>(run, axes);
    });
  }

 private:
  template <class T>
  void passes(const KernelRun& run, const std::vector<Axis>& axes) const {
    using C = ComputeType<T>;
    const Tensor& in = run.inputs[0];
    Tensor& out = run.outputs[0];
    Shape shape = in.shape();
    if (axes.empty()) return copy_all(in, out, run.pool);
    std::vector<Scratch<C>> kept;
    const C* from = nullptr;
    for (std::size_t i = 0; i < axes.size(); ++i) {
      const Weights weights(settings_, axes[i], run.memory);
      const AxisView view = view_axis(shape, static_cast<int64_t>(axes[i].resized.axis));
      shape[axes[i].resized.axis] = axes[i].resized.size;
      const bool last = i + 1 == axes.size();
      C* to = nullptr;
      if (!last) {
        kept.emplace_back(run.memory, element_count(shape));
        to = kept.back().data();
      }
      const auto pass = [&](auto* x, auto* y) { along(x, y, view, axes[i], weights, run.pool); };
      if (i == 0 && last)
        pass(elements<T>(in), elements<T>(out));
      else if (i == 0)
        pass(elements<T>(in), to);
      else if (last)
        pass(from, elements<T>(out));
      else
        pass(from, to);
      from = to;
      if (kept.size() > 1 && !last) kept.erase(kept.begin());
    }
  }

  template <class In, class Out>
  void along(const In* x, Out* y, const AxisView& view, const Axis& axis, const Weights& weights,
             ThreadPool& pool) const {
    const int64_t size = axis.resized.size;
    pool.parallel_for(view.outer * size, rows_per_grain(view.inner * weights.taps),
                      [&](int64_t begin, int64_t end) {
                        for (int64_t i = begin; i < end; ++i) {
                          const In* from = x + i / size * view.axis * view.inner;
                          const int64_t* index = weights.index(i % size);
                          const double* weight = weights.weight(i % size);
                          for (int64_t j = 0; j < view.inner; ++j) {
                            double sum = settings_.extrapolation;
                            if (!std::isnan(weight[0])) {
                              sum = 0;
                              for (int64_t t = 0; t < weights.taps; ++t)
                                sum += weight[t] * widen(from[index[t] * view.inner + j]);
                            }
                            y[i * view.inner + j] = narrow<Out>(sum);
                          }
                        }
                      });
  }
};

std::string refuse_nearest(const KernelContext& context) {
  if (context.node.string_or("mode", "nearest") != "nearest") return "interpolates";
  return refuse_packed(context);
}

}  // namespace

const CpuImplementation kResizeCpu[2] = {
    {"resize_nearest", refuse_nearest, create_kernel<NearestKernel>},
    {"resize_weighted", refuse_input0<FloatTypes>, create_kernel<WeightedKernel>}};

}  // namespace tercel::ops
