#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "src/ops/image/image_cpu.h"
#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {
namespace {

// A place between four pixels; no weight where it lies outside.
struct Bilinear {
  int64_t index[4] = {};
  double weight[4] = {};

  Bilinear(double y, double x, int64_t height, int64_t width) {
    const auto inside = [](double at, int64_t size) {
      return at >= -1 && at <= static_cast<double>(size);
    };
    if (!inside(y, height) || !inside(x, width)) return;
    const auto split = [](double at, int64_t size, int64_t& low, int64_t& high) {
      at = std::max(at, 0.0);
      low = std::min(static_cast<int64_t>(at), size - 1);
      high = std::min(low + 1, size - 1);
      return low == high ? 0.0 : at - static_cast<double>(low);
    };
    int64_t y0 = 0, y1 = 0, x0 = 0, x1 = 0;
    const double dy = split(y, height, y0, y1);
    const double dx = split(x, width, x0, x1);
    const int64_t places[4] = {y0 * width + x0, y0 * width + x1, y1 * width + x0, y1 * width + x1};
    const double weights[4] = {(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx};
    std::copy_n(places, 4, index);
    std::copy_n(weights, 4, weight);
  }
};

class AlignKernel final : public CpuKernel {
 public:
  explicit AlignKernel(const KernelContext& context)
      : label_(context.node.label()),
        max_(context.node.string_or("mode", "avg") == "max"),
        half_pixel_(context.node.string_or("coordinate_transformation_mode", "half_pixel") ==
                    "half_pixel"),
        ratio_(context.node.int_or("sampling_ratio", 0)),
        scale_(context.node.float_or("spatial_scale", 1.0F)) {}

  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[0].shape();
    const Shape& out = run.outputs[0].shape();
    if (run.outputs[0].size() == 0) return;
    const auto batches = integer_values(run.inputs[2]);
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* rois = elements<T>(run.inputs[1]);
      run.pool.parallel_for(out[0], 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t batch = checked_index(batches[static_cast<std::size_t>(i)], in[0], label_);
          align(elements<T>(run.inputs[0]) + batch * in[1] * in[2] * in[3], in, rois + 4 * i, out,
                elements<T>(run.outputs[0]) + i * out[1] * out[2] * out[3]);
        }
      });
    });
  }

 private:
  // A region along one axis, cut into bins that are sampled at `points` places each.
  struct Bins {
    double begin, size;
    int64_t points;
    double place(int64_t bin, int64_t point) const {
      return begin + (static_cast<double>(bin) +
                      (static_cast<double>(point) + 0.5) / static_cast<double>(points)) *
                         size;
    }
  };

  Bins bins_of(double begin, double end, int64_t count) const {
    const double offset = half_pixel_ ? 0.5 : 0.0;
    begin = begin * scale_ - offset;
    end = end * scale_ - offset;
    const double length = half_pixel_ ? end - begin : std::max(end - begin, 1.0);
    const double size = length / static_cast<double>(count);
    constexpr double kMost = 4096;  // more would be a mistake, or an attack
    const double points = ratio_ > 0 ? static_cast<double>(ratio_) : std::ceil(size);
    if (!(points <= kMost)) {
      fail(Errc::invalid_argument,
           "{} a bin of a region is sampled at {} places; at most {} are "
           "supported",
           label_, points, kMost);
    }
    return {begin, size, std::max<int64_t>(static_cast<int64_t>(points), 0)};
  }

  template <class T>
  void align(const T* image, const Shape& in, const T* roi, const Shape& out, T* y) const {
    const Bins rows = bins_of(widen(roi[1]), widen(roi[3]), out[2]);
    const Bins columns = bins_of(widen(roi[0]), widen(roi[2]), out[3]);
    std::vector<Bilinear> places;
    for (int64_t i = 0; i < out[2] * out[3]; ++i) {
      places.clear();
      for (int64_t py = 0; py < rows.points; ++py) {
        for (int64_t px = 0; px < columns.points; ++px) {
          places.emplace_back(rows.place(i / out[3], py), columns.place(i % out[3], px), in[2],
                              in[3]);
        }
      }
      for (int64_t c = 0; c < in[1]; ++c)
        y[c * out[2] * out[3] + i] = narrow<T>(fold(image + c * in[2] * in[3], places));
    }
  }

  // The greatest is taken of weighted pixels, each for itself, as ONNX's reference does.
  template <class T>
  double fold(const T* plane, const std::vector<Bilinear>& places) const {
    double sum = 0;
    double best = -std::numeric_limits<double>::infinity();
    for (const Bilinear& place : places) {
      for (int i = 0; i < 4; ++i) {
        const double value =
            place.weight[i] == 0 ? 0 : place.weight[i] * widen(plane[place.index[i]]);
        sum += value;
        best = std::max(best, value);
      }
    }
    if (places.empty()) return 0;
    return max_ ? best : sum / static_cast<double>(places.size());
  }

  std::string label_;
  bool max_;
  bool half_pixel_;
  int64_t ratio_;
  double scale_;
};

class PoolKernel final : public CpuKernel {
 public:
  explicit PoolKernel(const KernelContext& context)
      : label_(context.node.label()), scale_(context.node.float_or("spatial_scale", 1.0F)) {}

  void run(const KernelRun& run) const override {
    const Shape& in = run.inputs[0].shape();
    const Shape& out = run.outputs[0].shape();
    if (run.outputs[0].size() == 0) return;
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < out[0]; ++i) {
        const T* roi = elements<T>(run.inputs[1]) + 5 * i;
        const int64_t batch = checked_index(rounded(widen(roi[0])), in[0], label_);
        for (int64_t c = 0; c < in[1]; ++c) {
          pool(elements<T>(run.inputs[0]) + (batch * in[1] + c) * in[2] * in[3], in, roi, out,
               elements<T>(run.outputs[0]) + (i * in[1] + c) * out[2] * out[3]);
        }
      }
    });
  }

 private:
  int64_t rounded(double value) const {
    if (!(std::abs(value) < 1e15))
      fail(Errc::invalid_argument, "{} a region has the coordinate {}", label_, value);
    return static_cast<int64_t>(std::round(value));
  }

  // Pixels [first, last) of bin `i` of `count` over a region [begin, end], both inside.
  static std::pair<int64_t, int64_t> bin(int64_t begin, int64_t end, int64_t i, int64_t count,
                                         int64_t size) {
    const auto length = static_cast<double>(std::max<int64_t>(end - begin + 1, 1));
    const double each = length / static_cast<double>(count);
    const auto first = static_cast<int64_t>(std::floor(static_cast<double>(i) * each)) + begin;
    const auto last = static_cast<int64_t>(std::ceil(static_cast<double>(i + 1) * each)) + begin;
    return {std::clamp<int64_t>(first, 0, size), std::clamp<int64_t>(last, 0, size)};
  }

  template <class T>
  void pool(const T* plane, const Shape& in, const T* roi, const Shape& out, T* y) const {
    const auto at = [&](int i) { return rounded(widen(roi[i]) * scale_); };
    for (int64_t i = 0; i < out[2] * out[3]; ++i) {
      const auto rows = bin(at(2), at(4), i / out[3], out[2], in[2]);
      const auto columns = bin(at(1), at(3), i % out[3], out[3], in[3]);
      double best = -std::numeric_limits<double>::infinity();
      for (int64_t r = rows.first; r < rows.second; ++r) {
        for (int64_t c = columns.first; c < columns.second; ++c)
          best = std::max(best, static_cast<double>(widen(plane[r * in[3] + c])));
      }
      const bool empty = rows.first >= rows.second || columns.first >= columns.second;
      y[i] = narrow<T>(empty ? 0.0 : best);
    }
  }

  std::string label_;
  double scale_;
};

struct Box {
  float top, left, bottom, right;

  Box(const float* values, bool centered) {
    if (centered) {
      top = values[1] - values[3] / 2;
      bottom = values[1] + values[3] / 2;
      left = values[0] - values[2] / 2;
      right = values[0] + values[2] / 2;
    } else {
      top = std::min(values[0], values[2]);
      bottom = std::max(values[0], values[2]);
      left = std::min(values[1], values[3]);
      right = std::max(values[1], values[3]);
    }
  }
  float area() const { return (bottom - top) * (right - left); }
  float overlap(const Box& other) const {
    const float height = std::min(bottom, other.bottom) - std::max(top, other.top);
    const float width = std::min(right, other.right) - std::max(left, other.left);
    if (height <= 0 || width <= 0) return 0;
    const float both = height * width;
    const float whole = area() + other.area() - both;
    return whole > 0 ? both / whole : 0;
  }
};

class SuppressionKernel final : public CpuKernel {
 public:
  explicit SuppressionKernel(const KernelContext& context)
      : centered_(context.node.int_or("center_point_box", 0) != 0) {}

  bool allocates_outputs() const override { return true; }

  void run(const KernelRun& run) const override {
    const Shape& scores = run.inputs[1].shape();
    const int64_t most = given(run, 2) ? integer_value(run.inputs[2]) : 0;
    const float overlap = given(run, 3) ? *elements<float>(run.inputs[3]) : 0;
    const float least =
        given(run, 4) ? *elements<float>(run.inputs[4]) : -std::numeric_limits<float>::infinity();
    std::vector<int64_t> found;
    for (int64_t b = 0; b < scores[0]; ++b) {
      const float* boxes = elements<float>(run.inputs[0]) + b * scores[2] * 4;
      for (int64_t c = 0; c < scores[1]; ++c) {
        const float* of_class = elements<float>(run.inputs[1]) + (b * scores[1] + c) * scores[2];
        for (const int64_t box : select(boxes, of_class, scores[2], most, overlap, least))
          found.insert(found.end(), {b, c, box});
      }
    }
    run.outputs[0] = allocate_tensor(Dtype::i64, {static_cast<int64_t>(found.size()) / 3, 3},
                                     run.memory, "NonMaxSuppression");
    std::copy(found.begin(), found.end(), elements<int64_t>(run.outputs[0]));
  }

 private:
  static bool given(const KernelRun& run, std::size_t index) {
    return index < run.inputs.size() && run.inputs[index].defined() && run.inputs[index].size() > 0;
  }

  std::vector<int64_t> select(const float* boxes, const float* scores, int64_t count, int64_t most,
                              float overlap, float least) const {
    std::vector<int64_t> order;
    for (int64_t i = 0; i < count; ++i) {
      if (scores[i] > least) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
    std::vector<int64_t> selected;
    for (const int64_t i : order) {
      if (static_cast<int64_t>(selected.size()) >= most) break;
      const Box box(boxes + 4 * i, centered_);
      const bool covered = std::any_of(selected.begin(), selected.end(), [&](int64_t other) {
        return box.overlap(Box(boxes + 4 * other, centered_)) > overlap;
      });
      if (!covered) selected.push_back(i);
    }
    return selected;
  }

  bool centered_;
};

}  // namespace

const CpuImplementation kMaxRoiPoolCpu[1] = {
    {"max_roi_pool", refuse_input0<FloatTypes>, create_kernel<PoolKernel>}};
const CpuImplementation kNonMaxSuppressionCpu[1] = {
    {"non_max_suppression", refuse_unless_f32, create_kernel<SuppressionKernel>}};
const CpuImplementation kRoiAlignCpu[1] = {
    {"roi_align", refuse_input0<FloatTypes>, create_kernel<AlignKernel>}};

}  // namespace tercel::ops
