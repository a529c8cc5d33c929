#include <cmath>
#include <limits>
#include <optional>

#include "src/ops/cpu_util.h"
#include "src/ops/nn/nn_cpu.h"

namespace tercel::ops {
namespace {

class LossKernel final : public CpuKernel {
 public:
  explicit LossKernel(const KernelContext& context)
      : label_(context.node.label()),
        reduction_(context.node.string_or("reduction", "mean")),
        scores_(context.node.is("SoftmaxCrossEntropyLoss")) {
    if (context.node.has_attribute("ignore_index"))
      ignored_ = context.node.int_or("ignore_index", 0);
  }

  void run(const KernelRun& run) const override {
    dispatch_dtype(FloatTypes{}, run.inputs[0].dtype(),
                   [&](auto tag) { compute<typename decltype(tag)::type>(run); });
  }

 private:
  template <class T>
  void compute(const KernelRun& run) const {
    const AxisView view = view_axis(run.inputs[0].shape(), 1);
    const auto targets = integer_values(run.inputs[1]);
    const T* x = elements<T>(run.inputs[0]);
    const bool weighted = run.inputs.size() > 2 && run.inputs[2].defined();
    T* log_prob =
        run.outputs.size() > 1 && run.outputs[1].defined() ? elements<T>(run.outputs[1]) : nullptr;
    double sum = 0;
    double weights = 0;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      const int64_t first = at / view.inner * view.axis * view.inner + at % view.inner;
      const double shift = scores_ ? log_of_sum(x + first, view) : 0;
      for (int64_t c = 0; log_prob != nullptr && c < view.axis; ++c)
        log_prob[first + c * view.inner] = narrow<T>(widen(x[first + c * view.inner]) - shift);
      const int64_t target = targets[i];
      double value = 0;
      if (!ignored_ || target != *ignored_) {
        check(target, view.axis);
        const double weight = weighted ? widen(elements<T>(run.inputs[2])[target]) : 1.0;
        value = -(widen(x[first + target * view.inner]) - shift) * weight;
        sum += value;
        weights += weight;
      }
      if (reduction_ == "none") elements<T>(run.outputs[0])[i] = narrow<T>(value);
    }
    if (reduction_ != "none")
      *elements<T>(run.outputs[0]) = narrow<T>(reduction_ == "mean" ? sum / weights : sum);
  }

  template <class T>
  static double log_of_sum(const T* x, const AxisView& view) {
    double most = -std::numeric_limits<double>::infinity();
    for (int64_t c = 0; c < view.axis; ++c)
      most = std::max(most, static_cast<double>(widen(x[c * view.inner])));
    double sum = 0;
    for (int64_t c = 0; c < view.axis; ++c) sum += std::exp(widen(x[c * view.inner]) - most);
    return most + std::log(sum);
  }

  void check(int64_t target, int64_t classes) const {
    if (target < 0 || target >= classes) {
      fail(Errc::invalid_argument, "{} target {} is out of range for {} classes", label_, target,
           classes);
    }
  }

  std::string label_;
  std::string reduction_;
  bool scores_;
  std::optional<int64_t> ignored_;
};

constexpr CpuImplementation kLossImplementations[] = {
    {"loss", refuse_input0<FloatTypes>, create_kernel<LossKernel>}};
constexpr CpuOp kLossOps[] = {{"", "NegativeLogLikelihoodLoss", kLossImplementations},
                              {"", "SoftmaxCrossEntropyLoss", kLossImplementations}};

}  // namespace

CpuFamily loss_cpu_ops() { return kLossOps; }

}  // namespace tercel::ops
