// DFT and STFT.

#include <algorithm>

#include "src/ops/signal/fourier_cpu.h"
#include "src/ops/signal/signal.h"
#include "src/ops/signal/signal_cpu.h"

namespace tercel::ops {
namespace {

using FourierOpsComplex = Fourier::Complex;

// About the nanoseconds of a transform.
int64_t cost_of(int64_t length) { return 20 * length; }

// Buffers of one thread.
struct FourierOpsLine {
  explicit FourierOpsLine(int64_t length) : values(static_cast<std::size_t>(length)) {}
  std::vector<FourierOpsComplex> values;
  std::vector<FourierOpsComplex> scratch;
};

// Element `index` of an array of real or complex numbers.
template <class T>
FourierOpsComplex read_fourier_ops(const T* x, int64_t parts, int64_t index) {
  return parts == 1 ? FourierOpsComplex(widen(x[index]))
                    : FourierOpsComplex(widen(x[2 * index]), widen(x[2 * index + 1]));
}
template <class T>
void write(T* y, int64_t index, FourierOpsComplex value) {
  y[2 * index] = narrow<T>(value.real());
  y[2 * index + 1] = narrow<T>(value.imag());
}

class DftKernel final : public CpuKernel {
 public:
  explicit DftKernel(const KernelContext& context)
      : inverse_(context.node.int_or("inverse", 0) != 0),
        onesided_(context.node.int_or("onesided", 0) != 0) {}

  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    const int64_t rank = run.inputs[0].rank();
    if (run.outputs[0].size() == 0) return;
    const bool named = run.inputs.size() > 2 && run.inputs[2].defined();
    int64_t axis = named ? integer_value(run.inputs[2]) : -2;
    if (axis < 0) axis += rank;
    AxisView in = view_axis(shape, axis);
    AxisView out = view_axis(run.outputs[0].shape(), axis);
    const int64_t parts = shape.back();
    in.inner /= parts;
    const bool given = run.inputs.size() > 1 && run.inputs[1].defined();
    const Fourier fourier(given ? integer_value(run.inputs[1])
                                : default_dft_length(in.axis, inverse_, onesided_));
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      run.pool.parallel_for(
          in.outer * in.inner, rows_per_grain(cost_of(fourier.length())),
          [&](int64_t begin, int64_t end) {
            FourierOpsLine line(fourier.length());
            for (int64_t i = begin; i < end; ++i) {
              const int64_t outer = i / in.inner;
              const int64_t inner = i % in.inner;
              fill(x, parts, outer * in.axis * in.inner + inner, in.inner, in.axis, line);
              fourier.transform(line.values.data(), inverse_, line.scratch);
              put(line, outer * out.axis * in.inner + inner, in.inner, out.axis, y);
            }
          });
    });
  }

 private:
  template <class T>
  void fill(const T* x, int64_t parts, int64_t first, int64_t stride, int64_t count,
            FourierOpsLine& line) const {
    const auto length = static_cast<int64_t>(line.values.size());
    const bool mirrored = inverse_ && onesided_;
    count = std::min(count, mirrored ? length / 2 + 1 : length);
    std::fill(line.values.begin(), line.values.end(), FourierOpsComplex());
    for (int64_t n = 0; n < count; ++n) {
      const FourierOpsComplex value = read_fourier_ops(x, parts, first + n * stride);
      line.values[static_cast<std::size_t>(n)] = value;
      if (mirrored && n > 0 && 2 * n != length)
        line.values[static_cast<std::size_t>(length - n)] = std::conj(value);
    }
  }
  template <class T>
  void put(const FourierOpsLine& line, int64_t first, int64_t stride, int64_t count, T* y) const {
    for (int64_t k = 0; k < count; ++k) {
      const FourierOpsComplex value = line.values[static_cast<std::size_t>(k)];
      if (inverse_ && onesided_)
        y[first + k * stride] = narrow<T>(value.real());
      else
        write(y, first + k * stride, value);
    }
  }

  bool inverse_;
  bool onesided_;
};

class StftKernel final : public CpuKernel {
 public:
  explicit StftKernel(const KernelContext&) {}

  void run(const KernelRun& run) const override {
    if (run.outputs[0].size() == 0) return;
    const Shape& signal = run.inputs[0].shape();
    const Fourier fourier(frame_length(run));
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      transform<typename decltype(tag)::type>(run, fourier, signal[1],
                                              signal.size() == 3 ? signal[2] : 1);
    });
  }

 private:
  static int64_t frame_length(const KernelRun& run) {
    if (run.inputs.size() > 3 && run.inputs[3].defined()) return integer_value(run.inputs[3]);
    const bool windowed = run.inputs.size() > 2 && run.inputs[2].defined();
    return windowed ? run.inputs[2].size() : run.inputs[0].shape()[1];
  }

  template <class T>
  static void transform(const KernelRun& run, const Fourier& fourier, int64_t samples,
                        int64_t parts) {
    const Shape& shape = run.outputs[0].shape();
    const int64_t frames = shape[1];
    const int64_t bins = shape[2];
    const int64_t step = integer_value(run.inputs[1]);
    const T* window =
        run.inputs.size() > 2 && run.inputs[2].defined() ? elements<T>(run.inputs[2]) : nullptr;
    const T* x = elements<T>(run.inputs[0]);
    T* y = elements<T>(run.outputs[0]);
    run.pool.parallel_for(shape[0] * frames, rows_per_grain(cost_of(fourier.length())),
                          [&](int64_t begin, int64_t end) {
                            FourierOpsLine line(fourier.length());
                            for (int64_t i = begin; i < end; ++i) {
                              const int64_t first = i / frames * samples + i % frames * step;
                              for (int64_t n = 0; n < fourier.length(); ++n) {
                                const double weight = window != nullptr ? widen(window[n]) : 1.0;
                                line.values[static_cast<std::size_t>(n)] =
                                    read_fourier_ops(x, parts, first + n) * weight;
                              }
                              fourier.transform(line.values.data(), false, line.scratch);
                              for (int64_t k = 0; k < bins; ++k)
                                write(y, i * bins + k, line.values[static_cast<std::size_t>(k)]);
                            }
                          });
  }
};

}  // namespace

const CpuImplementation kDftCpu[1] = {{"dft", refuse_input0<FloatTypes>, create_kernel<DftKernel>}};
const CpuImplementation kStftCpu[1] = {
    {"stft", refuse_input0<FloatTypes>, create_kernel<StftKernel>}};

}  // namespace tercel::ops
