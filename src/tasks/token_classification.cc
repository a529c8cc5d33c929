#include <algorithm>
#include <cmath>
#include <utility>

#include "src/base/fail.h"
#include "src/tasks/labels.h"
#include "src/tasks/text_model.h"
#include "src/tasks/windows.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

const std::vector<std::string> kOutputs = {"logits"};
constexpr int kBatchSize = 8;
constexpr std::size_t kRowsAtOnce = 256;

// The tokens of a window that no other window sees with more text around: half of what it shares
// with each neighbour goes to the neighbour.
std::pair<std::size_t, std::size_t> own_tokens(const Windows& windows, std::size_t window) {
  std::size_t begin = windows.begin(window);
  std::size_t end = windows.end(window);
  if (window > 0) begin += (windows.end(window - 1) - begin) / 2;
  if (window + 1 < windows.count()) {
    const std::size_t next = windows.begin(window + 1);
    end = next + (end - next) / 2;
  }
  return {begin, end};
}

// The most probable class of a row of logits and its softmax.
std::pair<std::size_t, float> best_label(std::span<const float> logits) {
  const auto highest = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit} - *highest);
  return {static_cast<std::size_t>(highest - logits.begin()), static_cast<float>(1 / sum)};
}

}  // namespace

struct TokenClassification::State {
  TextModel model;
};

TokenClassification::TokenClassification(const std::filesystem::path& model,
                                         const SessionOptions& options)
    : state_(std::make_shared<State>(State{TextModel(model, options)})) {
  constexpr auto kTask = "token classification";
  state_->model.require_outputs(kTask, kOutputs);
  for (const TensorInfo& info : state_->model.session().outputs()) {
    const bool wrong = info.name == "logits" && info.shape && info.shape->size() != 3;
    if (wrong) state_->model.reject(kTask, "its logits are not one row a token");
  }
  if (state_->model.metadata("tercel.task") == "fill-mask") {
    state_->model.reject(kTask, "it fills in masked words");
  }
}

std::vector<EntityToken> TokenClassification::classify(std::string_view text,
                                                       const RunOptions& run) const {
  const TextModel& model = state_->model;
  const Windows windows(model.tokenizer(), nullptr, text,
                        {model.max_length(), model.max_length() / 4});
  std::vector<EntityToken> entities(windows.end(windows.count() - 1));
  std::vector<std::string> names;
  for (std::size_t first = 0; first < windows.count(); first += kRowsAtOnce) {
    std::vector<TokenRow> rows;
    for (std::size_t i = first; i < std::min(first + kRowsAtOnce, windows.count()); ++i) {
      rows.push_back(windows.row(i));
    }
    model.run(rows, kOutputs, kBatchSize, run,
              [&](std::size_t index, std::span<const Tensor> outputs, int64_t at) {
                const Tensor& logits = outputs[0];
                const auto length = static_cast<int64_t>(rows[index].ids.size());
                if (logits.rank() != 3 || logits.shape()[1] < length || logits.shape()[2] < 1) {
                  fail(Errc::invalid_file,
                       "the model's logits have shape {}; expected [batch, sequence, labels]",
                       to_string(logits.shape()));
                }
                const auto labels = static_cast<std::size_t>(logits.shape()[2]);
                if (names.empty()) names = label_names(model, logits.shape()[2]);
                const std::size_t window = first + index;
                const auto [begin, end] = own_tokens(windows, window);
                for (std::size_t token = begin; token < end; ++token) {
                  const std::size_t position = windows.prefix() + token - windows.begin(window);
                  const auto row = static_cast<std::size_t>(at * logits.shape()[1]) + position;
                  const auto [label, score] =
                      best_label(logits.values<float>().subspan(row * labels, labels));
                  const TextSpan span = windows.offsets(token);
                  entities[token] = {std::string(text.substr(span.begin, span.end - span.begin)),
                                     names[label], score, span.begin, span.end};
                }
              });
  }
  return entities;
}

const Session& TokenClassification::session() const { return state_->model.session(); }

}  // namespace tercel::tasks
