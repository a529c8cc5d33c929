#include "src/tasks/label_scores.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "src/base/fail.h"

namespace tercel::tasks {
namespace {

enum class Scoring { softmax, sigmoid, raw };

Scoring scoring_of(const TextModel& model, int64_t labels) {
  const std::string problem = model.metadata("tercel.problem_type");
  if (problem == "regression") return Scoring::raw;
  if (problem == "multi_label_classification" || labels == 1) return Scoring::sigmoid;
  return Scoring::softmax;
}

std::vector<float> scores_of(std::span<const float> logits, Scoring scoring) {
  std::vector<float> scores(logits.begin(), logits.end());
  if (scoring == Scoring::sigmoid) {
    for (float& score : scores) score = 1 / (1 + std::exp(-score));
  } else if (scoring == Scoring::softmax) {
    const float highest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (const float logit : logits) sum += std::exp(double{logit} - highest);
    for (float& score : scores) {
      score = static_cast<float>(std::exp(double{score} - highest) / sum);
    }
  }
  return scores;
}

}  // namespace

const std::vector<std::string>& logits_output() {
  static const std::vector<std::string> names = {"logits"};
  return names;
}

void require_classifier(const TextModel& model) {
  constexpr auto kTask = "text classification";
  model.require_outputs(kTask, logits_output());
  for (const TensorInfo& info : model.session().outputs()) {
    if (info.name == "logits" && info.shape && info.shape->size() != 2) {
      model.reject(kTask, "its logits are not one row a text");
    }
  }
}

std::vector<float> label_scores(const TextModel& model, const Tensor& logits, int64_t at) {
  if (logits.rank() != 2 || logits.shape()[1] < 1) {
    fail(Errc::invalid_file, "the model's logits have shape {}; expected [batch, labels]",
         to_string(logits.shape()));
  }
  const int64_t labels = logits.shape()[1];
  const auto row = logits.values<float>().subspan(static_cast<std::size_t>(at * labels),
                                                  static_cast<std::size_t>(labels));
  return scores_of(row, scoring_of(model, labels));
}

}  // namespace tercel::tasks
