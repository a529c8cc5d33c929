#include <cmath>

#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

// y = (x - mean) * inverse * scale + bias over a stretch of one channel.
template <class T>
void affine(const T* x, T* y, int64_t count, double mean, double factor, double bias) {
  for (int64_t i = 0; i < count; ++i) y[i] = narrow<T>((widen(x[i]) - mean) * factor + bias);
}

// Vectors of another floating-point type than the input's are read_normalization by this.
double read_normalization(const Tensor& vector, int64_t index) {
  double value = 0;
  dispatch_dtype(FloatTypes{}, vector.dtype(), [&](auto tag) {
    value = widen(elements<typename decltype(tag)::type>(vector)[index]);
  });
  return value;
}

class BatchKernel final : public CpuKernel {
 public:
  explicit BatchKernel(const KernelContext& context)
      : epsilon_(context.node.float_or("epsilon", 1e-5F)) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    const int64_t channels = shape.size() > 1 ? shape[1] : 1;
    const int64_t area = product(shape, 2, static_cast<int>(shape.size()));
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      run.pool.parallel_for(
          shape[0] * channels, rows_per_grain(area), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const int64_t c = i % channels;
              const double factor = read_normalization(run.inputs[1], c) /
                                    std::sqrt(read_normalization(run.inputs[4], c) + epsilon_);
              affine(x + i * area, y + i * area, area, read_normalization(run.inputs[3], c), factor,
                     read_normalization(run.inputs[2], c));
            }
          });
    });
  }

 private:
  double epsilon_;
};

// Instance normalisation is group normalisation with a group for each channel.
class GroupKernel final : public CpuKernel {
 public:
  explicit GroupKernel(const KernelContext& context)
      : epsilon_(context.node.float_or("epsilon", 1e-5F)),
        groups_(context.node.is("GroupNormalization") ? context.node.int_or("num_groups", 1) : 0) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    const int64_t groups = groups_ > 0 ? groups_ : shape[1];
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const int64_t area = product(shape, 2, static_cast<int>(shape.size()));
      const int64_t size = groups == 0 ? 0 : shape[1] / groups * area;
      run.pool.parallel_for(shape[0] * groups, rows_per_grain(size),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; ++i)
                                normalize<T>(run, i, i % groups, size, area);
                            });
    });
  }

 private:
  template <class T>
  void normalize(const KernelRun& run, int64_t index, int64_t group, int64_t size,
                 int64_t area) const {
    const T* x = elements<T>(run.inputs[0]) + index * size;
    T* y = elements<T>(run.outputs[0]) + index * size;
    const auto count = static_cast<double>(size);
    double mean = 0;
    double variance = 0;
    for (int64_t i = 0; i < size; ++i) mean += widen(x[i]) / count;
    for (int64_t i = 0; i < size; ++i) {
      const double difference = widen(x[i]) - mean;
      variance += difference * difference / count;
    }
    const double inverse = 1 / std::sqrt(variance + epsilon_);
    for (int64_t at = 0; at < size; at += area) {
      const int64_t channel = (group * size + at) / area;
      affine(x + at, y + at, area, mean, inverse * read_normalization(run.inputs[1], channel),
             read_normalization(run.inputs[2], channel));
    }
  }

  double epsilon_;
  int64_t groups_;
};

class LpKernel final : public CpuKernel {
 public:
  explicit LpKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", -1)), p_(context.node.int_or("p", 2)) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const AxisView view = view_axis(run.inputs[0].shape(), axis_);
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      run.pool.parallel_for(
          view.outer * view.inner, rows_per_grain(view.axis), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const int64_t start = i / view.inner * view.axis * view.inner + i % view.inner;
              divide_by_norm(elements<T>(run.inputs[0]) + start,
                             elements<T>(run.outputs[0]) + start, view.axis, view.inner);
            }
          });
    });
  }

 private:
  template <class T>
  void divide_by_norm(const T* x, T* y, int64_t count, int64_t stride) const {
    double norm = 0;
    for (int64_t i = 0; i < count; ++i) {
      const double value = widen(x[i * stride]);
      norm += p_ == 1 ? std::abs(value) : value * value;
    }
    if (p_ == 2) norm = std::sqrt(norm);
    for (int64_t i = 0; i < count; ++i)
      y[i * stride] = narrow<T>(norm == 0 ? 0 : widen(x[i * stride]) / norm);
  }
  int64_t axis_;
  int64_t p_;
};

// The elements that differ along the axes alone make a group, whose mean and deviation are taken
// out.
class MeanVarianceKernel final : public CpuKernel {
 public:
  explicit MeanVarianceKernel(const KernelContext& context)
      : axes_(context.node.ints_or("axes", {0, 2, 3})) {}

  bool in_place(int input) const override { return input == 0; }
  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    Shape kept = shape;
    for (const int64_t axis : axes_)
      kept[static_cast<std::size_t>(axis < 0 ? axis + run.inputs[0].rank() : axis)] = 1;
    const BroadcastLoop loop = broadcast_loop(shape, {&kept});
    if (loop.size == 0) return;
    const auto groups = static_cast<std::size_t>(element_count(kept));
    const double count = static_cast<double>(loop.size) / static_cast<double>(groups);
    std::vector<double> mean(groups, 0);
    std::vector<double> deviation(groups, 0);
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      const auto each = [&](auto body) {
        for (int64_t i = 0; i < loop.size; ++i)
          body(i, static_cast<std::size_t>(loop.locate(i)[0]));
      };
      each([&](int64_t i, std::size_t group) { mean[group] += widen(x[i]) / count; });
      each([&](int64_t i, std::size_t group) {
        const double difference = widen(x[i]) - mean[group];
        deviation[group] += difference * difference / count;
      });
      each([&](int64_t i, std::size_t group) {
        y[i] = narrow<T>((widen(x[i]) - mean[group]) / (std::sqrt(deviation[group]) + kLeast));
      });
    });
  }

 private:
  static constexpr double kLeast = 1e-9;  // ONNX's, so that a constant gives zero
  std::vector<int64_t> axes_;
};

std::string refuse_batch(const KernelContext& context) {
  if (context.node.int_or("training_mode", 0) != 0)
    return "training_mode is 1; only inference is supported";
  return refuse_input0<FloatTypes>(context);
}

template <class Kernel>
std::unique_ptr<CpuKernel> create_normalization(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kBatch[] = {
    {"batch_normalization_generic", refuse_batch, create_normalization<BatchKernel>}};
constexpr CpuImplementation kGroup[] = {
    {"group_normalization_generic", refuse_input0<FloatTypes>, create_normalization<GroupKernel>}};
constexpr CpuImplementation kLp[] = {
    {"lp_normalization_generic", refuse_input0<FloatTypes>, create_normalization<LpKernel>}};
constexpr CpuImplementation kMeanVariance[] = {{"mean_variance_normalization",
                                                refuse_input0<FloatTypes>,
                                                create_normalization<MeanVarianceKernel>}};
constexpr CpuOp kNormalizationOps[] = {{"", "BatchNormalization", kBatch},
                                       {"", "GroupNormalization", kGroup},
                                       {"", "InstanceNormalization", kGroup},
                                       {"", "LpNormalization", kLp},
                                       {"", "MeanVarianceNormalization", kMeanVariance}};

}  // namespace

CpuFamily normalization_cpu_ops() { return kNormalizationOps; }

}  // namespace tercel::ops
