#include <algorithm>
#include <utility>

#include "src/base/fail.h"
#include "src/tasks/text_model.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

const std::string kPooled = "sentence_embedding";
const std::string kHidden = "last_hidden_state";
// Texts whose tokens are held at a time, from which batches of similar length are made.
constexpr std::size_t kTextsAtOnce = 4096;
constexpr int kBatchSize = 1024;

// The mean of the first `tokens` rows of [tokens, size].
void mean_rows(std::span<const float> rows, std::size_t tokens, std::span<float> out) {
  std::fill(out.begin(), out.end(), 0.0F);
  for (std::size_t t = 0; t < tokens; ++t) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] += rows[t * out.size() + i];
  }
  for (float& value : out) value /= static_cast<float>(std::max<std::size_t>(tokens, 1));
}

}  // namespace

struct Embedding::State {
  TextModel model;
  std::string output;
};

Embedding::Embedding(const std::filesystem::path& model, const SessionOptions& options)
    : state_(std::make_shared<State>(State{TextModel(model, options), kPooled})) {
  if (state_->model.has_output(kPooled)) return;
  state_->output = kHidden;
  state_->model.require_outputs("embedding", {&state_->output, 1});
}

Tensor Embedding::embed(std::span<const std::string> texts, const RunOptions& run) const {
  const TextModel& model = state_->model;
  const bool pooled = state_->output == kPooled;
  const int rank = pooled ? 2 : 3;
  const auto count = static_cast<int64_t>(texts.size());
  Tensor result(Dtype::f32, {count, 0});
  for (std::size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
    const std::vector<TokenRow> rows =
        model.rows_of(texts.subspan(begin, std::min(kTextsAtOnce, texts.size() - begin)));
    model.run(rows, {state_->output}, kBatchSize, run,
              [&](std::size_t index, std::span<const Tensor> outputs, int64_t at) {
                const Tensor& output = outputs[0];
                const std::size_t tokens = rows[index].ids.size();
                if (output.rank() != rank ||
                    (!pooled && output.shape()[1] < static_cast<int64_t>(tokens))) {
                  fail(Errc::invalid_file, "output \"{}\" has shape {}; expected rank {}",
                       state_->output, to_string(output.shape()), rank);
                }
                if (result.size() == 0) result = Tensor(Dtype::f32, {count, output.shape().back()});
                const auto size = static_cast<std::size_t>(output.shape().back());
                const auto out = result.values<float>().subspan((begin + index) * size, size);
                const auto stride = static_cast<std::size_t>(output.size() / output.shape()[0]);
                const auto row =
                    output.values<float>().subspan(static_cast<std::size_t>(at) * stride, stride);
                if (pooled) {
                  std::copy(row.begin(), row.end(), out.begin());
                } else {
                  mean_rows(row, tokens, out);
                }
              });
  }
  return result;
}

const Session& Embedding::session() const { return state_->model.session(); }

}  // namespace tercel::tasks
