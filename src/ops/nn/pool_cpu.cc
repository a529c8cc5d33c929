#include <cmath>

#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

// One result for each channel of each item. The sum of an average is in f64.
class Kernel final : public CpuKernel {
 public:
  explicit Kernel(const KernelContext& context) : max_(context.node.is("GlobalMaxPool")) {}

  void run(const KernelRun& run) const override {
    const Shape& shape = run.inputs[0].shape();
    const int64_t area = product(shape, 2, static_cast<int>(shape.size()));
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      T* y = elements<T>(run.outputs[0]);
      run.pool.parallel_for(
          run.outputs[0].size(), rows_per_grain(area), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
              y[i] = narrow<T>(max_ ? greatest(x + i * area, area) : average(x + i * area, area));
          });
    });
  }

 private:
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
  bool max_;
};

std::unique_ptr<CpuKernel> create(const KernelContext& context) {
  return std::make_unique<Kernel>(context);
}

constexpr CpuImplementation kImplementations[] = {
    {"pool_generic", refuse_input0<FloatTypes>, create}};
constexpr CpuOp kOps[] = {{"", "GlobalAveragePool", kImplementations},
                          {"", "GlobalMaxPool", kImplementations}};

}  // namespace

CpuFamily pool_cpu_ops() { return kOps; }

}  // namespace tercel::ops
