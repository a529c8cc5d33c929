#include <algorithm>
#include <cmath>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

class SoftmaxVectorKernel final : public CpuKernel {
 public:
  explicit SoftmaxVectorKernel(const KernelContext& context)
      : kernels_(kernels::cpu_kernels(context.isa)),
        axis_(context.node.int_or("axis", -1)),
        log_(context.node.is("LogSoftmax")) {}

  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    const AxisView view = view_axis(run.inputs[0].shape(), axis_);
    kernels_.reduce.softmax({.outer = view.outer,
                             .axis = view.axis,
                             .inner = view.inner,
                             .x = elements<float>(run.inputs[0]),
                             .y = elements<float>(run.outputs[0]),
                             .log = log_},
                            run.pool);
  }

 private:
  const kernels::CpuKernels& kernels_;
  int64_t axis_;
  bool log_;
};

// A line along the axis: element i at data[i * stride].
template <class T>
struct Line {
  const T* x;
  T* y;
  int64_t count;
  int64_t stride;

  ComputeType<T> at(int64_t i) const { return load(x[i * stride]); }
  void set(int64_t i, ComputeType<T> value) const { y[i * stride] = store<T>(value); }
  int64_t first_max() const {
    int64_t best = 0;
    for (int64_t i = 1; i < count; ++i) {
      if (at(i) > at(best)) best = i;
    }
    return best;
  }
};

template <class T>
void softmax_line(const Line<T>& line, bool log) {
  using C = ComputeType<T>;
  if (line.count == 0) return;
  const C max = line.at(line.first_max());
  C sum{};
  for (int64_t i = 0; i < line.count; ++i) sum += std::exp(line.at(i) - max);
  for (int64_t i = 0; i < line.count; ++i) {
    const C shifted = line.at(i) - max;
    line.set(i, log ? shifted - std::log(sum) : std::exp(shifted) / sum);
  }
}

template <class T>
void hardmax_line(const Line<T>& line) {
  if (line.count == 0) return;
  const int64_t best = line.first_max();
  for (int64_t i = 0; i < line.count; ++i) line.set(i, i == best ? 1 : 0);
}

class SoftmaxGenericKernel final : public CpuKernel {
 public:
  explicit SoftmaxGenericKernel(const KernelContext& context)
      : axis_(context.node.int_or("axis", -1)),
        hard_(context.node.is("Hardmax")),
        log_(context.node.is("LogSoftmax")) {}

  bool in_place(int) const override { return true; }
  void run(const KernelRun& run) const override {
    const AxisView view = view_axis(run.inputs[0].shape(), axis_);
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      run.pool.parallel_for(
          view.outer * view.inner, rows_per_grain(8 * view.axis), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
              const int64_t start = i / view.inner * view.axis * view.inner + i % view.inner;
              const Line<T> line{x + start, y + start, view.axis, view.inner};
              if (hard_)
                hardmax_line(line);
              else
                softmax_line(line, log_);
            }
          });
    });
  }

 private:
  int64_t axis_;
  bool hard_;
  bool log_;
};

template <class Kernel>
std::unique_ptr<CpuKernel> create_softmax(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kSoftmax[] = {
    {"softmax_f32", refuse_unless_f32, create_softmax<SoftmaxVectorKernel>},
    {"softmax_generic", refuse_input0<FloatTypes>, create_softmax<SoftmaxGenericKernel>}};
constexpr CpuImplementation kHardmax[] = {
    {"hardmax_generic", refuse_input0<FloatTypes>, create_softmax<SoftmaxGenericKernel>}};
constexpr CpuOp kSoftmaxOps[] = {
    {"", "Hardmax", kHardmax}, {"", "LogSoftmax", kSoftmax}, {"", "Softmax", kSoftmax}};

}  // namespace

CpuFamily softmax_cpu_ops() { return kSoftmaxOps; }

}  // namespace tercel::ops
