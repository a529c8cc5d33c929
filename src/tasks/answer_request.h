#pragma once
// One question on its way: its windows, and the spans found in those that have run.

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "src/tasks/spans.h"
#include "src/tasks/text_model.h"
#include "src/tasks/windows.h"
#include "tercel/tasks.h"

namespace tercel::tasks {

// Throws Errc::invalid_argument.
void check(const QuestionAnsweringOptions& options);

// The outputs that hold the logits of starts and ends.
const std::vector<std::string>& span_outputs();

class AnswerRequest {
 public:
  // The document must outlive it. Throws Errc::invalid_argument when question or document is empty,
  // and when the question leaves no room for the document.
  AnswerRequest(const TextModel& model, const Query& query,
                const QuestionAnsweringOptions& options);

  const Windows& windows() const { return *windows_; }

  // The logits of window `window` are row `at` of `outputs`, a batch of span_outputs(). Throws
  // Errc::invalid_file when these are not [batch, sequence].
  void add(std::size_t window, std::span<const Tensor> outputs, int64_t at);

  // Once all windows were added: best answers, best first.
  std::vector<Answer> answers(const QuestionAnsweringOptions& options) const;

 private:
  Answer answer(const SpanCandidate& span) const;

  std::string_view document_;
  std::optional<Windows> windows_;
  SpanPool pool_;
};

}  // namespace tercel::tasks
