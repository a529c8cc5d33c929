#include <algorithm>
#include <cmath>
#include <utility>

#include "src/base/fail.h"
#include "src/base/function_ref.h"
#include "src/tasks/labels.h"
#include "src/tasks/text_model.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

const std::vector<std::string> kOutputs = {"logits"};
constexpr std::size_t kTextsAtOnce = 256;
constexpr int kBatchSize = 16;

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

std::vector<std::vector<Label>> classify_rows(const TextModel& model,
                                              std::span<const std::string> texts,
                                              const RunOptions& run,
                                              FunctionRef<TokenRow(const std::string&)> row_of) {
  std::vector<std::vector<Label>> results(texts.size());
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
    std::vector<TokenRow> rows;
    for (const std::string& text :
         texts.subspan(begin, std::min(kTextsAtOnce, texts.size() - begin))) {
      rows.push_back(row_of(text));
    }
    model.run(rows, kOutputs, kBatchSize, run,
              [&](std::size_t index, std::span<const Tensor> outputs, int64_t at) {
                const Tensor& logits = outputs[0];
                if (logits.rank() != 2 || logits.shape()[1] < 1) {
                  fail(Errc::invalid_file,
                       "the model's logits have shape {}; expected [batch, labels]",
                       to_string(logits.shape()));
                }
                const int64_t labels = logits.shape()[1];
                if (names.empty()) names = label_names(model, labels);
                const auto row = logits.values<float>().subspan(
                    static_cast<std::size_t>(at * labels), static_cast<std::size_t>(labels));
                const auto scores = scores_of(row, scoring_of(model, labels));
                std::vector<Label>& result = results[begin + index];
                for (std::size_t i = 0; i < scores.size(); ++i) {
                  result.push_back({names[i], scores[i]});
                }
                std::stable_sort(result.begin(), result.end(),
                                 [](const Label& a, const Label& b) { return a.score > b.score; });
              });
  }
  return results;
}

}  // namespace

struct TextClassification::State {
  TextModel model;
};

TextClassification::TextClassification(const std::filesystem::path& model,
                                       const SessionOptions& options)
    : state_(std::make_shared<State>(State{TextModel(model, options)})) {
  state_->model.require_outputs("text classification", kOutputs);
  for (const TensorInfo& info : state_->model.session().outputs()) {
    if (info.name == "logits" && info.shape && info.shape->size() != 2) {
      state_->model.reject("text classification", "its logits are not one row a text");
    }
  }
}

std::vector<std::vector<Label>> TextClassification::classify(std::span<const std::string> texts,
                                                             const RunOptions& run) const {
  const TextModel& model = state_->model;
  return classify_rows(model, texts, run,
                       [&](const std::string& text) { return model.row_of(text); });
}

std::vector<std::vector<Label>> TextClassification::classify_pairs(
    std::string_view first, std::span<const std::string> texts, const RunOptions& run) const {
  const TextModel& model = state_->model;
  return classify_rows(model, texts, run,
                       [&](const std::string& text) { return model.row_of(first, text); });
}

const Session& TextClassification::session() const { return state_->model.session(); }

}  // namespace tercel::tasks
