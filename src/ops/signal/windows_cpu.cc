// The windows, and the matrix from a spectrum to the mel scale.

#include <algorithm>
#include <cmath>
#include <numbers>

#include "src/ops/signal/signal_cpu.h"

namespace tercel::ops {
namespace {

template <class T>
void set(Tensor& out, int64_t index, double value) {
  elements<T>(out)[index] = store<T>(static_cast<ComputeType<T>>(value));
}

// a - b cos(2πn / N) + c cos(4πn / N)
struct Cosines {
  double a, b, c;
};

Cosines cosines_of(const ir::Node& node) {
  if (node.is("HannWindow")) return {0.5, 0.5, 0};
  if (node.is("HammingWindow")) return {25.0 / 46, 21.0 / 46, 0};
  return {0.42, 0.5, 0.08};
}

class WindowsWindowKernel final : public CpuKernel {
 public:
  explicit WindowsWindowKernel(const KernelContext& context)
      : cosines_(cosines_of(context.node)), periodic_(context.node.int_or("periodic", 1) != 0) {}

  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    const int64_t size = out.size();
    // One sample has no period: it is the window's peak.
    const auto period = static_cast<double>(std::max<int64_t>(1, periodic_ ? size : size - 1));
    const double first = size == 1 ? 0.5 : 0.0;
    dispatch_dtype(NumericTypes{}, out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t n = 0; n < size; ++n) {
        const double angle = 2 * std::numbers::pi * (first + static_cast<double>(n) / period);
        set<T>(out, n,
               cosines_.a - cosines_.b * std::cos(angle) + cosines_.c * std::cos(2 * angle));
      }
    });
  }

 private:
  Cosines cosines_;
  bool periodic_;
};

class MelKernel final : public CpuKernel {
 public:
  explicit MelKernel(const KernelContext& context) : label_(context.node.label()) {}

  void run(const KernelRun& run) const override {
    Tensor& out = run.outputs[0];
    if (out.size() == 0) return;
    const std::vector<int64_t> edges = edges_of(run);
    const int64_t rows = out.shape()[0];
    const int64_t columns = out.shape()[1];
    dispatch_dtype(NumericTypes{}, out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      std::fill_n(elements<T>(out), out.size(), T{});
      for (int64_t i = 0; i < columns; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const int64_t low = edges[at];
        const int64_t peak = edges[at + 1];
        const int64_t high = edges[at + 2];
        for (int64_t j = std::max<int64_t>(low, 0); j <= std::min(peak, rows - 1); ++j)
          set<T>(out, j * columns + i, peak == low ? 1.0 : ratio(j - low, peak - low));
        for (int64_t j = std::max<int64_t>(peak, 0); j < std::min(high, rows); ++j)
          set<T>(out, j * columns + i, ratio(high - j, high - peak));
      }
    });
  }

 private:
  static double ratio(int64_t a, int64_t b) {
    return static_cast<double>(a) / static_cast<double>(b);
  }
  static double number(const Tensor& tensor) {
    double value = 0;
    dispatch_dtype(NumericTypes{}, tensor.dtype(), [&](auto tag) {
      value = static_cast<double>(load(*elements<typename decltype(tag)::type>(tensor)));
    });
    return value;
  }

  // The bins of the spectrum at which the triangles begin, peak and end.
  std::vector<int64_t> edges_of(const KernelRun& run) const {
    for (std::size_t i = 0; i < 5; ++i) {
      if (run.inputs[i].size() != 1)
        fail(Errc::invalid_argument, "{} input {} has {} elements; expected 1", label_, i,
             run.inputs[i].size());
    }
    const int64_t count = run.outputs[0].shape()[1] + 2;
    const double length = number(run.inputs[1]);
    const double rate = number(run.inputs[2]);
    const double low = mel(number(run.inputs[3]));
    const double high = mel(number(run.inputs[4]));
    const double step = (high - low) / static_cast<double>(count);
    std::vector<int64_t> edges;
    for (int64_t i = 0; i < count; ++i) {
      const double hertz = 700 * std::expm1((low + static_cast<double>(i) * step) / kPerLog);
      const double bin = std::floor((length + 1) * hertz / rate);
      if (!(bin >= 0 && bin <= length)) {
        fail(
            Errc::invalid_argument,
            "{} a triangle reaches to {} Hz, which a spectrum at {} samples a second does not have",
            label_, hertz, rate);
      }
      edges.push_back(static_cast<int64_t>(bin));
    }
    return edges;
  }

  static constexpr double kPerLog = 2595 / std::numbers::ln10;
  static double mel(double hertz) { return kPerLog * std::log1p(hertz / 700); }

  std::string label_;
};

std::string refuse_output_windows(const KernelContext& context) {
  return refuse_dtype(NumericTypes{}, context.output_dtype(0));
}

}  // namespace

const CpuImplementation kMelCpu[1] = {{"mel", refuse_output_windows, create_kernel<MelKernel>}};
const CpuImplementation kWindowCpu[1] = {
    {"window", refuse_output_windows, create_kernel<WindowsWindowKernel>}};

}  // namespace tercel::ops
