#pragma once
// The tokens of one text with their labels, from logits that come window by window.

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/tasks/text_model.h"
#include "src/tasks/windows.h"
#include "tercel/tasks.h"

namespace tercel::tasks {

// Throws Errc::invalid_argument unless the model gives one row of logits a token.
void require_tagger(const TextModel& model);

class Tagging {
 public:
  // The text must outlive it. Throws Errc::invalid_argument when the text has no tokens.
  Tagging(const TextModel& model, std::string_view text);

  const Windows& windows() const { return windows_; }

  // The logits of window `window` are row `at` of `logits`, a batch. Throws Errc::invalid_file when
  // these are not [batch, sequence, labels].
  void add(std::size_t window, const Tensor& logits, int64_t at);

  // Once all windows were added.
  std::vector<EntityToken> take() { return std::move(entities_); }

 private:
  const TextModel& model_;
  std::string_view text_;
  Windows windows_;
  std::vector<EntityToken> entities_;
  std::vector<std::string> names_;
};

}  // namespace tercel::tasks
