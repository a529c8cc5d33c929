#include <algorithm>

#include "src/tasks/pooling.h"
#include "src/tasks/text_model.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

// Texts whose tokens are held at a time, from which batches of similar length are made.
constexpr std::size_t kTextsAtOnce = 4096;
constexpr int kEmbeddingRows = 1024;

}  // namespace

struct Embedding::State {
  State(const std::filesystem::path& path, const SessionOptions& options)
      : model(path, options), pooling(model) {}
  TextModel model;
  Pooling pooling;
};

Embedding::Embedding(const std::filesystem::path& model, const SessionOptions& options)
    : state_(std::make_shared<State>(model, options)) {}

Tensor Embedding::embed(std::span<const std::string> texts, const RunOptions& run) const {
  const TextModel& model = state_->model;
  const Pooling& pooling = state_->pooling;
  const auto count = static_cast<int64_t>(texts.size());
  Tensor result(Dtype::f32, {count, 0});
  for (std::size_t begin = 0; begin < texts.size(); begin += kTextsAtOnce) {
    const std::vector<TokenRow> rows =
        model.rows_of(texts.subspan(begin, std::min(kTextsAtOnce, texts.size() - begin)));
    model.run(rows, pooling.outputs(), kEmbeddingRows, run,
              [&](std::size_t index, std::span<const Tensor> outputs, int64_t at) {
                const std::size_t tokens = rows[index].ids.size();
                const std::size_t size = pooling.size(outputs[0], tokens);
                if (result.size() == 0) {
                  result = Tensor(Dtype::f32, {count, static_cast<int64_t>(size)});
                }
                pooling.pool(outputs[0], at, tokens,
                             result.values<float>().subspan((begin + index) * size, size));
              });
  }
  return result;
}

const Session& Embedding::session() const { return state_->model.session(); }

}  // namespace tercel::tasks
