#include "src/tasks/spans.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace tercel::tasks {

bool better(const SpanCandidate& a, const SpanCandidate& b) {
  return std::tuple(-a.score, a.window, a.start_rank, a.end_rank) <
         std::tuple(-b.score, b.window, b.start_rank, b.end_rank);
}

std::vector<std::size_t> top_positions(std::span<const float> logits, std::size_t count) {
  const auto value = [&](std::size_t i) {
    return std::isnan(logits[i]) ? -std::numeric_limits<float>::infinity() : logits[i];
  };
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  count = std::min(count, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::size_t a, std::size_t b) {
                      return value(a) != value(b) ? value(a) > value(b) : a < b;
                    });
  order.resize(count);
  return order;
}

void SpanPool::add_window(std::size_t window, std::span<const float> start_logits,
                          std::span<const float> end_logits, std::size_t text_begin,
                          std::size_t text_end) {
  if (!start_logits.empty()) null_score_ = std::min(null_score_, start_logits[0] + end_logits[0]);
  const auto count = static_cast<std::size_t>(std::max(rules_.n_best, 1));
  const auto starts = top_positions(start_logits, count);
  const auto ends = top_positions(end_logits, count);
  for (std::size_t s = 0; s < starts.size(); ++s) {
    const std::size_t begin = starts[s];
    if (begin < text_begin) continue;
    for (std::size_t e = 0; e < ends.size(); ++e) {
      const std::size_t last = ends[e];
      const bool inside = last >= begin && last < text_end;
      if (!inside || last - begin >= static_cast<std::size_t>(rules_.max_tokens)) continue;
      const float score = start_logits[begin] + end_logits[last];
      if (!std::isnan(score)) best_.push_back({score, window, s, e, begin, last});
    }
  }
  std::sort(best_.begin(), best_.end(), better);
  if (best_.size() > count) best_.resize(count);
}

}  // namespace tercel::tasks
