#include <algorithm>
#include <utility>

#include "src/base/function_ref.h"
#include "src/tasks/label_scores.h"
#include "src/tasks/labels.h"
#include "src/tasks/text_model.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

constexpr std::size_t kTextsAtOnce = 256;
constexpr int kTextRows = 16;

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
    model.run(rows, logits_output(), kTextRows, run,
              [&](std::size_t index, std::span<const Tensor> outputs, int64_t at) {
                const auto scores = label_scores(model, outputs[0], at);
                if (names.empty()) names = label_names(model, static_cast<int64_t>(scores.size()));
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
  require_classifier(state_->model);
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
