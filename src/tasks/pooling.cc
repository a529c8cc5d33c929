#include "src/tasks/pooling.h"

#include <algorithm>

#include "src/base/fail.h"

namespace tercel::tasks {
namespace {

const std::string kPooled = "sentence_embedding";
const std::string kHidden = "last_hidden_state";

// The mean of the first `tokens` rows of [tokens, size].
void mean_rows(std::span<const float> rows, std::size_t tokens, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0F);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += rows[t * out.size() + i];
  }
  for (float& value : out) value /= static_cast<float>(std::max<std::size_t>(tokens, 1));
}

}  // namespace

Pooling::Pooling(const TextModel& model)
    : outputs_{model.has_output(kPooled) ? kPooled : kHidden}, pooled_(outputs_[0] == kPooled) {
  model.require_outputs("embedding", outputs_);
}

std::size_t Pooling::size(const Tensor& output, std::size_t tokens) const {
  const int rank = pooled_ ? 2 : 3;
  const bool too_short =
      !pooled_ && output.rank() == rank && output.shape()[1] < static_cast<int64_t>(tokens);
  if (output.rank() != rank || too_short) {
    fail(Errc::invalid_file, "output \"{}\" has shape {}; expected rank {}", outputs_[0],
         to_string(output.shape()), rank);
  }
  return static_cast<std::size_t>(output.shape().back());
}

void Pooling::pool(const Tensor& output, int64_t at, std::size_t tokens,
                   std::span<float> out) const {
  const auto stride = static_cast<std::size_t>(output.size() / output.shape()[0]);
  const auto row = output.values<float>().subspan(static_cast<std::size_t>(at) * stride, stride);
  if (pooled_) {
    std::copy(row.begin(), row.end(), out.begin());
  } else {
    mean_rows(row, tokens, out);
  }
}

}  // namespace tercel::tasks
