#include <memory>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/tasks/pooling.h"
#include "src/tasks/result_text.h"
#include "src/tasks/text_task.h"

namespace tercel::tasks {
namespace {

struct EmbeddingJob : Job {
  std::size_t tokens = 0;
  Tensor vector;
};

class EmbeddingTask : public TextTask {
 public:
  EmbeddingTask(const std::filesystem::path& path, const PredictOptions& options)
      : TextTask(path, options, {options.text_field}),
        text_(options.text_field),
        pooling_(model()) {}

  Started start(const data::Record& record) const override {
    auto job = std::make_shared<EmbeddingJob>();
    Started started;
    started.examples.push_back(owning_example(model().row_of(record.text(text_))));
    job->tokens = static_cast<std::size_t>(started.examples[0].length);
    started.bytes = sizeof(EmbeddingJob);
    started.job = std::move(job);
    return started;
  }

  void add(Job& job, std::size_t, std::span<const Tensor> outputs, int64_t at) const override {
    auto& mine = static_cast<EmbeddingJob&>(job);
    const std::size_t size = pooling_.size(outputs[0], mine.tokens);
    mine.vector = Tensor(Dtype::f32, {static_cast<int64_t>(size)});
    pooling_.pool(outputs[0], at, mine.tokens, mine.vector.values<float>());
  }

  void write_json(const Job& job, std::string& out) const override {
    out += "\"embedding\":";
    append_json_tensor(out, array(job));
  }

  std::vector<std::string> columns() const override { return {"embedding"}; }

  // The numbers, separated by spaces, in one field.
  void write_csv(const Job& job, const std::string& prefix, char, std::string& out) const override {
    const Tensor vector = array(job);
    out += prefix;
    fmt::format_to(std::back_inserter(out), "{}\n", fmt::join(vector.values<float>(), " "));
  }

  Tensor array(const Job& job) const override {
    return static_cast<const EmbeddingJob&>(job).vector;
  }

 private:
  const std::vector<std::string>& outputs() const override { return pooling_.outputs(); }

  std::string text_;
  Pooling pooling_;
};

}  // namespace

std::unique_ptr<RecordTask> embedding_task(const std::filesystem::path& model,
                                           const PredictOptions& options) {
  return std::make_unique<EmbeddingTask>(model, options);
}

}  // namespace tercel::tasks
