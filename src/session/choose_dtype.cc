#include "src/session/choose_dtype.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/kernels/cpu/kernels.h"
#include "src/session/info.h"
#include "src/session/samples.h"

namespace tercel {
namespace {

using Clock = std::chrono::steady_clock;
using Outputs = std::vector<std::vector<Tensor>>;  // by sample

constexpr int kRounds = 5;            // of all samples, of which the quickest counts
constexpr double kWorthwhile = 0.97;  // of the time of f32, that another type may take
constexpr std::size_t kMostKinds = 4;

// Cosines of the rows of the float outputs.
class Cosines {
 public:
  void add(const Outputs& outputs, const Outputs& expected) {
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      for (std::size_t j = 0; j < outputs[i].size(); ++j) add(outputs[i][j], expected[i][j]);
    }
  }
  // 0 when there is nothing to compare.
  double mean() const { return rows_ == 0 ? 0 : sum_ / static_cast<double>(rows_); }

 private:
  void add(const Tensor& tensor, const Tensor& expected) {
    if (tensor.dtype() != Dtype::f32 || tensor.rank() == 0 || tensor.shape().back() < 2) return;
    const auto columns = static_cast<std::size_t>(tensor.shape().back());
    const auto x = tensor.values<float>();
    const auto y = expected.values<float>();
    for (std::size_t at = 0; at + columns <= x.size(); at += columns)
      add_row(x.subspan(at, columns), y.subspan(at, columns));
  }

  void add_row(std::span<const float> x, std::span<const float> y) {
    double xy = 0, xx = 0, yy = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      xy += static_cast<double>(x[i]) * y[i];
      xx += static_cast<double>(x[i]) * x[i];
      yy += static_cast<double>(y[i]) * y[i];
    }
    if (yy == 0) return;  // of padding
    ++rows_;
    sum_ += xx == 0 || !std::isfinite(xy) ? 0 : xy / std::sqrt(xx * yy);
  }

  double sum_ = 0;
  int64_t rows_ = 0;
};

struct Trial {
  WeightTypes types;
  CompiledModel model;
  Outputs outputs;
  double milliseconds = 0;
  double cosine = 1;
};

class Chooser {
 public:
  Chooser(const ModelSource& source, const std::vector<NamedTensors>& samples, float least_cosine)
      : source_(source), given_(samples), least_(least_cosine) {}

  ChosenModel choose() {
    Trial f32;
    f32.model = compile_model(source_, {});
    if (const std::string reason = run_first(f32); !reason.empty())
      return give(std::move(f32), Dtype::f32, reason);
    note("f32", f32);
    Dtype best = Dtype::f32;
    Trial chosen = std::move(f32);
    if (kernels::gemm_bf16_kernels(source_.isa) != nullptr) {
      rest_ = Dtype::bf16;
      Trial bf16 = attempt({Dtype::bf16}, chosen);
      note("bf16", bf16);
      if (is_better(bf16, chosen)) {
        take(chosen, std::move(bf16));
        best = Dtype::bf16;
      }
    }
    if (auto int8 = quantized(chosen); int8 && is_better(*int8, chosen)) {
      take(chosen, std::move(*int8));
      best = Dtype::i8;
    }
    return give(std::move(chosen), best,
                fmt::format("the fastest with a mean cosine of at least {} to f32", least_));
  }

 private:
  // Finds samples that the model runs on, and runs it. Otherwise says why there are none.
  std::string run_first(Trial& f32) {
    samples_ = given_;
    if (!given_.empty()) {
      run(f32);
      return {};
    }
    std::string reason;
    for (const int64_t length : {48, 16, 4}) {
      samples_ = make_samples(f32.model.program->inputs(), length);
      if (samples_.empty()) return "no inputs could be made up; give samples";
      try {
        run(f32);
        return {};
      } catch (const Error& error) {
        reason = fmt::format("the model refuses inputs that were made up; give samples ({})",
                             error.what());
      }
    }
    return reason;
  }

  std::vector<Tensor> inputs_of(const CompiledModel& model, const NamedTensors& sample) const {
    std::vector<Tensor> tensors;
    const auto given = model.program->inputs();
    for (const auto& [name, tensor] : sample) check_name(given, name);
    for (const ir::Value* input : given) {
      const auto found = sample.find(input->name());
      tensors.push_back(found != sample.end()  ? found->second
                        : input->is_constant() ? input->initializer()
                                               : Tensor());
      if (tensors.back().defined() || !may_be_missing(*input)) check_input(*input, tensors.back());
    }
    check_symbols(given, tensors);
    return tensors;
  }

  static void check_name(std::span<ir::Value* const> given, const std::string& name) {
    const bool known = std::any_of(given.begin(), given.end(),
                                   [&](const ir::Value* input) { return input->name() == name; });
    if (!known) {
      fail(Errc::not_found, "a sample has \"{}\", which is no input of the model; it has: {}", name,
           names_of(given));
    }
  }

  // The outputs, and the time of the quickest of a few rounds.
  void run(Trial& trial) const {
    const std::size_t count = trial.model.program->outputs().size();
    for (int round = 0; round < kRounds; ++round) {
      Outputs outputs;
      double milliseconds = 0;
      for (const NamedTensors& sample : samples_) {
        const auto inputs = inputs_of(trial.model, sample);
        outputs.emplace_back(count);
        const auto start = Clock::now();
        trial.model.executor->run(inputs, outputs.back(), std::vector<bool>(count, true), {});
        milliseconds += std::chrono::duration<double, std::milli>(Clock::now() - start).count();
      }
      if (round == 0 || milliseconds < trial.milliseconds) trial.milliseconds = milliseconds;
      if (round == 0) trial.outputs = std::move(outputs);
    }
  }

  Trial attempt(const WeightTypes& types, const Trial& f32) {
    Trial trial{types, compile_model(source_, types), {}};
    run(trial);
    Cosines cosines;
    cosines.add(trial.outputs, reference_.empty() ? f32.outputs : reference_);
    trial.cosine = cosines.mean();
    return trial;
  }

  bool is_better(const Trial& trial, const Trial& chosen) const {
    return trial.cosine >= least_ && trial.milliseconds < kWorthwhile * chosen.milliseconds;
  }

  void take(Trial& chosen, Trial trial) {
    if (reference_.empty()) reference_ = std::move(chosen.outputs);
    chosen = std::move(trial);
  }

  // int8, with as few kinds of weights left out as keep the cosine, one after the other, each time
  // the one that helps most. Nothing when there is none to quantise.
  std::optional<Trial> quantized(const Trial& chosen) {
    std::set<std::string> kept;
    Trial best = attempt({rest_, Dtype::i8, kept}, chosen);
    if (best.model.quantized.empty()) return std::nullopt;
    note("int8", best);
    while (best.cosine < least_ && best.milliseconds < kWorthwhile * chosen.milliseconds &&
           best.model.quantized.size() > 1) {
      std::optional<Trial> next;
      std::string name;
      std::set<std::string> next_kept;
      for (const auto& [shape, names] : largest(best.model.quantized)) {
        auto also = kept;
        also.insert(names.begin(), names.end());
        Trial trial = attempt({rest_, Dtype::i8, also}, chosen);
        if (next && trial.cosine <= next->cosine) continue;
        next = std::move(trial);
        next_kept = std::move(also);
        name = fmt::format("{}", fmt::join(shape, " x "));
      }
      best = std::move(*next);
      kept = std::move(next_kept);
      left_ += (left_.empty() ? "" : ", ") + name;
      note(fmt::format("int8 but for weights of {} in {}", left_, to_string(rest_)), best);
    }
    return best;
  }

  using Kinds = std::map<Shape, std::set<std::string>>;
  using Kind = std::pair<Shape, std::set<std::string>>;
  static std::vector<Kind> largest(const Kinds& kinds) {
    std::vector<Kind> sorted(kinds.begin(), kinds.end());
    const auto elements = [](const auto& kind) {
      return element_count(kind.first) * static_cast<int64_t>(kind.second.size());
    };
    std::sort(sorted.begin(), sorted.end(),
              [&](const auto& a, const auto& b) { return elements(a) > elements(b); });
    if (sorted.size() > kMostKinds) sorted.resize(kMostKinds);
    return sorted;
  }

  void note(const std::string& what, const Trial& trial) {
    why_ += fmt::format("dtype: {}: {:.2f} ms, cosine {:.5f}\n", what, trial.milliseconds,
                        trial.cosine);
  }

  ChosenModel give(Trial trial, Dtype dtype, const std::string& reason) {
    why_ += fmt::format("dtype: {} is used: {}\n", dtype == Dtype::i8 ? "int8" : to_string(dtype),
                        reason);
    return {std::move(trial.model), std::move(trial.types), dtype, std::move(why_)};
  }

  const ModelSource& source_;
  const std::vector<NamedTensors>& given_;
  float least_;
  std::vector<NamedTensors> samples_;
  Outputs reference_;  // of f32, once another is chosen
  Dtype rest_ = Dtype::f32;
  std::string left_;
  std::string why_;
};

}  // namespace

ChosenModel choose_dtype(const ModelSource& source, const std::vector<NamedTensors>& samples,
                         float least_cosine) {
  return Chooser(source, samples, least_cosine).choose();
}

}  // namespace tercel
