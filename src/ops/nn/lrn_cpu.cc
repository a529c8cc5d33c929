#include <algorithm>
#include <cmath>

#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

constexpr int64_t kStretch = 256;  // elements of a channel that are worked on together

class LrnKernel final : public CpuKernel {
 public:
  explicit LrnKernel(const KernelContext& context)
      : alpha_(context.node.float_or("alpha", 1e-4F)),
        beta_(context.node.float_or("beta", 0.75F)),
        bias_(context.node.float_or("bias", 1.0F)),
        size_(context.node.int_or("size", 1)) {}

  void run(const KernelRun& run) const override {
    if (run.outputs[0].size() == 0) return;
    const Shape& shape = run.inputs[0].shape();
    const int64_t channels = shape[1];
    const int64_t area = product(shape, 2, static_cast<int>(shape.size()));
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      const int64_t seen = std::min(size_, channels);
      run.pool.parallel_for(shape[0] * channels, rows_per_grain(area * (seen + 16)),
                            [&](int64_t begin, int64_t end) {
                              for (int64_t i = begin; i < end; ++i)
                                normalize(x + i / channels * channels * area, i % channels,
                                          channels, area, y + i * area);
                            });
    });
  }

 private:
  template <class T>
  void normalize(const T* item, int64_t channel, int64_t channels, int64_t area, T* y) const {
    const int64_t before = (size_ - 1) / 2;
    const int64_t first = channel > before ? channel - before : 0;
    const int64_t last = std::min(channels - 1, channel + std::min(size_ / 2, channels));
    for (int64_t at = 0; at < area; at += kStretch) {
      const int64_t count = std::min(kStretch, area - at);
      double sums[kStretch] = {};
      for (int64_t c = first; c <= last; ++c) {
        const T* x = item + c * area + at;
        for (int64_t j = 0; j < count; ++j) sums[j] += widen(x[j]) * widen(x[j]);
      }
      const T* x = item + channel * area + at;
      const double scale = alpha_ / static_cast<double>(size_);
      for (int64_t j = 0; j < count; ++j)
        y[at + j] = narrow<T>(widen(x[j]) / std::pow(bias_ + scale * sums[j], beta_));
    }
  }

  double alpha_;
  double beta_;
  double bias_;
  int64_t size_;
};

constexpr CpuImplementation kLrnImplementations[] = {
    {"lrn", refuse_input0<FloatTypes>, create_kernel<LrnKernel>}};
constexpr CpuOp kLrnOps[] = {{"", "LRN", kLrnImplementations}};

}  // namespace

CpuFamily lrn_cpu_ops() { return kLrnOps; }

}  // namespace tercel::ops
