#include "src/tasks/tagging.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "src/base/fail.h"
#include "src/tasks/label_scores.h"
#include "src/tasks/labels.h"

namespace tercel::tasks {
namespace {

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

void require_tagger(const TextModel& model) {
  constexpr auto kTask = "token classification";
  model.require_outputs(kTask, logits_output());
  for (const TensorInfo& info : model.session().outputs()) {
    const bool wrong = info.name == "logits" && info.shape && info.shape->size() != 3;
    if (wrong) model.reject(kTask, "its logits are not one row a token");
  }
  if (model.metadata("tercel.task") == "fill-mask") {
    model.reject(kTask, "it fills in masked words");
  }
}

Tagging::Tagging(const TextModel& model, std::string_view text)
    : model_(model),
      text_(text),
      windows_(model.tokenizer(), nullptr, text, {model.max_length(), model.max_length() / 4}),
      entities_(windows_.end(windows_.count() - 1)) {}

void Tagging::add(std::size_t window, const Tensor& logits, int64_t at) {
  const auto length = static_cast<int64_t>(windows_.length(window));
  if (logits.rank() != 3 || logits.shape()[1] < length || logits.shape()[2] < 1) {
    fail(Errc::invalid_file, "the model's logits have shape {}; expected [batch, sequence, labels]",
         to_string(logits.shape()));
  }
  const auto labels = static_cast<std::size_t>(logits.shape()[2]);
  if (names_.empty()) names_ = label_names(model_, logits.shape()[2]);
  const auto [begin, end] = own_tokens(windows_, window);
  for (std::size_t token = begin; token < end; ++token) {
    const std::size_t position = windows_.prefix() + token - windows_.begin(window);
    const auto row = static_cast<std::size_t>(at * logits.shape()[1]) + position;
    const auto [label, score] = best_label(logits.values<float>().subspan(row * labels, labels));
    const TextSpan span = windows_.offsets(token);
    entities_[token] = {std::string(text_.substr(span.begin, span.end - span.begin)), names_[label],
                        score, span.begin, span.end};
  }
}

}  // namespace tercel::tasks
