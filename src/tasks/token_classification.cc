#include <algorithm>

#include "src/tasks/label_scores.h"
#include "src/tasks/tagging.h"
#include "src/tasks/text_model.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

constexpr int kTokenRows = 8;
constexpr std::size_t kRowsAtOnce = 256;

}  // namespace

struct TokenClassification::State {
  TextModel model;
};

TokenClassification::TokenClassification(const std::filesystem::path& model,
                                         const SessionOptions& options)
    : state_(std::make_shared<State>(State{TextModel(model, options)})) {
  require_tagger(state_->model);
}

std::vector<EntityToken> TokenClassification::classify(std::string_view text,
                                                       const RunOptions& run) const {
  const TextModel& model = state_->model;
  Tagging tagging(model, text);
  const Windows& windows = tagging.windows();
  for (std::size_t first = 0; first < windows.count(); first += kRowsAtOnce) {
    std::vector<TokenRow> rows;
    for (std::size_t i = first; i < std::min(first + kRowsAtOnce, windows.count()); ++i) {
      rows.push_back(windows.row(i));
    }
    model.run(rows, logits_output(), kTokenRows, run,
              [&](std::size_t index, std::span<const Tensor> outputs, int64_t at) {
                tagging.add(first + index, outputs[0], at);
              });
  }
  return tagging.take();
}

const Session& TokenClassification::session() const { return state_->model.session(); }

}  // namespace tercel::tasks
