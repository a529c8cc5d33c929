#pragma once
// From start and end logits to the best spans: the decoding that SQuAD's reference implementations
// share (scripts/parity/squad_reference.py writes its rules down).

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

namespace tercel::tasks {

struct SpanRules {
  int n_best = 20;  // starts and ends that are combined in a window; candidates that are kept
  int max_tokens = 30;
};

struct SpanCandidate {
  float score = 0;  // start logit + end logit
  std::size_t window = 0;
  std::size_t start_rank = 0;  // among the window's best starts
  std::size_t end_rank = 0;
  std::size_t begin = 0;  // positions in the window, the last one included
  std::size_t last = 0;
};

// Descending score; equal ones by window, start rank, end rank: independent of the order in which
// windows were run.
bool better(const SpanCandidate& a, const SpanCandidate& b);

// The `count` highest positions, highest first; equal logits by position. NaN counts as the lowest.
std::vector<std::size_t> top_positions(std::span<const float> logits, std::size_t count);

// The candidates of the windows of one question.
class SpanPool {
 public:
  explicit SpanPool(const SpanRules& rules) : rules_(rules) {}

  // Logits of the window's real positions (no padding). Spans lie within
  // [text_begin, text_end).
  void add_window(std::size_t window, std::span<const float> start_logits,
                  std::span<const float> end_logits, std::size_t text_begin, std::size_t text_end);

  // At most n_best, best first.
  const std::vector<SpanCandidate>& best() const { return best_; }
  // The least score of "no answer" among the windows.
  float null_score() const { return null_score_; }

 private:
  SpanRules rules_;
  std::vector<SpanCandidate> best_;
  float null_score_ = std::numeric_limits<float>::infinity();
};

}  // namespace tercel::tasks
