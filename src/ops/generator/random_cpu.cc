// Random numbers are one sequence, whatever the threads. A seed of the model gives the same numbers
// in every run; without one no two runs of a session have the same.

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <optional>
#include <random>

#include "src/ops/cpu_util.h"
#include "src/ops/generator/generator_cpu.h"

namespace tercel::ops {
namespace {

using Engine = std::mt19937_64;

class Seed {
 public:
  explicit Seed(const KernelContext& context) {
    if (context.node.has_attribute("seed"))
      given_ = std::bit_cast<uint32_t>(context.node.float_or("seed", 0));
    else
      drawn_ = std::random_device{}();
  }

  Engine engine() const {
    if (given_) return Engine(*given_);
    std::seed_seq sequence{uint64_t{drawn_}, runs_.fetch_add(1, std::memory_order_relaxed)};
    return Engine(sequence);
  }

 private:
  std::optional<uint32_t> given_;
  uint32_t drawn_ = 0;
  mutable std::atomic<uint64_t> runs_{0};
};

double uniform(Engine& engine) { return std::generate_canonical<double, 53>(engine); }

// draw(i) for each of `count` elements, in order.
template <class Draw>
void for_each_element(const KernelRun& run, int64_t count, const Draw& draw) {
  constexpr int64_t kBetweenChecks = 1 << 18;
  for (int64_t i = 0; i < count; ++i) {
    if (i % kBetweenChecks == 0) run.limits.check();
    draw(i);
  }
}

class UniformKernel final : public CpuKernel {
 public:
  explicit UniformKernel(const KernelContext& context)
      : seed_(context),
        low_(context.node.float_or("low", 0)),
        high_(context.node.float_or("high", 1)) {}
  void run(const KernelRun& run) const override {
    Engine engine = seed_.engine();
    Tensor& y = run.outputs[0];
    dispatch_dtype(FloatTypes{}, y.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for_each_element(run, y.size(), [&](int64_t i) {
        elements<T>(y)[i] = narrow<T>(low_ + (high_ - low_) * uniform(engine));
      });
    });
  }

 private:
  Seed seed_;
  double low_;
  double high_;
};

class NormalKernel final : public CpuKernel {
 public:
  explicit NormalKernel(const KernelContext& context)
      : seed_(context),
        mean_(context.node.float_or("mean", 0)),
        scale_(context.node.float_or("scale", 1)) {}
  void run(const KernelRun& run) const override {
    Engine engine = seed_.engine();
    std::normal_distribution<double> normal;
    Tensor& y = run.outputs[0];
    dispatch_dtype(FloatTypes{}, y.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for_each_element(run, y.size(), [&](int64_t i) {
        elements<T>(y)[i] = narrow<T>(mean_ + scale_ * normal(engine));
      });
    });
  }

 private:
  Seed seed_;
  double mean_;
  double scale_;
};

class BernoulliKernel final : public CpuKernel {
 public:
  explicit BernoulliKernel(const KernelContext& context) : seed_(context) {}
  void run(const KernelRun& run) const override {
    Engine engine = seed_.engine();
    const Tensor& p = run.inputs[0];
    Tensor& y = run.outputs[0];
    dispatch_dtype(FloatTypes{}, p.dtype(), [&](auto in) {
      using In = typename decltype(in)::type;
      dispatch_dtype(y.dtype(), [&](auto out) {
        using Out = typename decltype(out)::type;
        for_each_element(run, y.size(), [&](int64_t i) {
          const bool one = uniform(engine) < widen(elements<In>(p)[i]);
          elements<Out>(y)[i] = narrow<Out>(static_cast<WideType<Out>>(one));
        });
      });
    });
  }

 private:
  Seed seed_;
};

// Rows of logarithms of probabilities, up to a factor: a class is where the sum of those before
// passes what was drawn.
class MultinomialKernel final : public CpuKernel {
 public:
  explicit MultinomialKernel(const KernelContext& context)
      : seed_(context), label_(context.node.label()) {}
  std::size_t workspace(std::span<const Shape> inputs, std::span<const Shape>, int) const override {
    return static_cast<std::size_t>(inputs[0].at(1)) * sizeof(double);
  }
  void run(const KernelRun& run) const override {
    Engine engine = seed_.engine();
    const Tensor& x = run.inputs[0];
    Tensor& y = run.outputs[0];
    const int64_t classes = x.shape()[1];
    const int64_t samples = y.shape()[1];
    if (classes == 0 && y.size() > 0)
      fail(Errc::invalid_argument, "{} its input is {}: there is no class to draw", label_,
           to_string(x.shape()));
    const std::span<double> sums(reinterpret_cast<double*>(run.workspace),
                                 static_cast<std::size_t>(classes));
    dispatch_dtype(FloatTypes{}, x.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t row = 0; row < x.shape()[0]; ++row) {
        add_up(elements<T>(x) + row * classes, sums);
        for_each_element(run, samples, [&](int64_t i) {
          const double drawn = uniform(engine) * sums.back();
          const auto found = std::upper_bound(sums.begin(), sums.end() - 1, drawn);
          store(y, row * samples + i, found - sums.begin());
        });
      }
    });
  }

 private:
  // The greatest becomes 1, so that nothing overflows.
  template <class T>
  static void add_up(const T* logarithms, std::span<double> sums) {
    double greatest = -INFINITY;
    for (std::size_t i = 0; i < sums.size(); ++i)
      greatest = std::max(greatest, widen(logarithms[i]));
    double sum = 0;
    for (std::size_t i = 0; i < sums.size(); ++i)
      sums[i] = sum += std::exp(widen(logarithms[i]) - greatest);
  }

  static void store(Tensor& y, int64_t at, int64_t value) {
    if (y.dtype() == Dtype::i64)
      elements<int64_t>(y)[at] = value;
    else
      elements<int32_t>(y)[at] = static_cast<int32_t>(value);
  }

  Seed seed_;
  std::string label_;
};

std::string refuse_output(const KernelContext& context) {
  return refuse_dtype(FloatTypes{}, context.output_dtype(0));
}
std::string refuse_bernoulli(const KernelContext& context) {
  const std::string reason = refuse_input0<FloatTypes>(context);
  return reason.empty() ? refuse_dtype(AllTypes{}, context.output_dtype(0)) : reason;
}
std::string refuse_multinomial(const KernelContext& context) {
  const std::string reason = refuse_input0<FloatTypes>(context);
  return reason.empty() ? refuse_dtype(Types<int32_t, int64_t>{}, context.output_dtype(0)) : reason;
}

}  // namespace

const CpuImplementation kRandomUniformCpu[1] = {
    {"uniform", refuse_output, create_kernel<UniformKernel>}};
const CpuImplementation kRandomNormalCpu[1] = {
    {"normal", refuse_output, create_kernel<NormalKernel>}};
const CpuImplementation kBernoulliCpu[1] = {
    {"bernoulli", refuse_bernoulli, create_kernel<BernoulliKernel>}};
const CpuImplementation kMultinomialCpu[1] = {
    {"multinomial", refuse_multinomial, create_kernel<MultinomialKernel>}};

}  // namespace tercel::ops
