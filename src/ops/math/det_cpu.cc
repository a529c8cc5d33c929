#include <cmath>

#include "src/base/checked.h"
#include "src/ops/cpu_util.h"
#include "src/ops/math/math_cpu.h"

namespace tercel::ops {
namespace {

// Elimination with the greatest pivot of each column. `a` is overwritten.
double determinant(double* a, int64_t n) {
  double result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t pivot = k;
    for (int64_t r = k + 1; r < n; ++r) {
      if (std::abs(a[r * n + k]) > std::abs(a[pivot * n + k])) pivot = r;
    }
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) {
      std::swap_ranges(a + k * n, a + (k + 1) * n, a + pivot * n);
      result = -result;
    }
    result *= a[k * n + k];
    for (int64_t r = k + 1; r < n; ++r) {
      const double factor = a[r * n + k] / a[k * n + k];
      for (int64_t c = k + 1; c < n; ++c) a[r * n + c] -= factor * a[k * n + c];
    }
  }
  return result;
}

class DetKernel final : public CpuKernel {
 public:
  explicit DetKernel(const KernelContext&) {}

  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>, int) const override {
    const int64_t n = inputs[0].back();
    return bytes_of(Dtype::f64, checked_mul(n, n));
  }
  void run(const KernelRun& run) const override {
    auto* matrix = reinterpret_cast<double*>(run.workspace);
    const int64_t n = run.inputs[0].shape().back();
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const T* x = elements<T>(run.inputs[0]);
      for (int64_t i = 0; i < run.outputs[0].size(); ++i) {
        for (int64_t j = 0; j < n * n; ++j) matrix[j] = widen(x[i * n * n + j]);
        elements<T>(run.outputs[0])[i] = narrow<T>(determinant(matrix, n));
      }
    });
  }
};

constexpr CpuImplementation kDetImplementations[] = {
    {"det", refuse_input0<FloatTypes>, create_kernel<DetKernel>}};
constexpr CpuOp kDetOps[] = {{"", "Det", kDetImplementations}};

}  // namespace

CpuFamily det_cpu_ops() { return kDetOps; }

}  // namespace tercel::ops
