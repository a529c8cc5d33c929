#include <memory>
#include <utility>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/tasks/label_scores.h"
#include "src/tasks/result_text.h"
#include "src/tasks/tagging.h"
#include "src/tasks/text_task.h"

namespace tercel::tasks {
namespace {

struct TaggingJob : Job {
  TaggingJob(const TextModel& model, std::string given)
      : text(std::move(given)), tagging(model, text) {}
  std::string text;
  Tagging tagging;
  std::vector<EntityToken> tokens;  // once all windows were added
};

class TaggingTask : public TextTask {
 public:
  TaggingTask(const std::filesystem::path& path, const PredictOptions& options)
      : TextTask(path, options, {options.text_field}), text_(options.text_field) {
    require_tagger(model());
  }

  Started start(const data::Record& record) const override {
    auto job = std::make_shared<TaggingJob>(model(), record.text(text_));
    Started started;
    const Windows& windows = job->tagging.windows();
    started.bytes = sizeof(TaggingJob) + job->text.size() + windows.bytes() +
                    windows.end(windows.count() - 1) * sizeof(EntityToken);
    for (std::size_t i = 0; i < windows.count(); ++i) {
      started.examples.push_back(owning_example(windows.row(i)));
    }
    started.job = std::move(job);
    return started;
  }

  void add(Job& job, std::size_t row, std::span<const Tensor> outputs, int64_t at) const override {
    auto& mine = static_cast<TaggingJob&>(job);
    mine.tagging.add(row, outputs[0], at);
    if (mine.rows_left == 1) mine.tokens = mine.tagging.take();
  }

  void write_json(const Job& job, std::string& out) const override {
    out += "\"tokens\":[";
    const char* separator = "";
    for (const EntityToken& token : static_cast<const TaggingJob&>(job).tokens) {
      out += std::exchange(separator, ",");
      out += "{\"text\":";
      append_json_string(out, token.text);
      out += ",\"label\":";
      append_json_string(out, token.label);
      out += ",\"score\":";
      append_json_number(out, token.score);
      fmt::format_to(std::back_inserter(out), ",\"begin\":{},\"end\":{}}}", token.begin, token.end);
    }
    out += ']';
  }

  std::vector<std::string> columns() const override {
    return {"text", "label", "score", "begin", "end"};
  }

  void write_csv(const Job& job, const std::string& prefix, char separator,
                 std::string& out) const override {
    for (const EntityToken& token : static_cast<const TaggingJob&>(job).tokens) {
      out += prefix;
      append_csv_field(out, token.text, separator);
      out += separator;
      append_csv_field(out, token.label, separator);
      fmt::format_to(std::back_inserter(out), "{0}{1}{0}{2}{0}{3}\n", separator, token.score,
                     token.begin, token.end);
    }
  }

  std::string no_array() const override {
    return "token classification gives no array: write .jsonl, .csv or .tsv";
  }

 private:
  const std::vector<std::string>& outputs() const override { return logits_output(); }

  std::string text_;
};

}  // namespace

std::unique_ptr<RecordTask> tagging_task(const std::filesystem::path& model,
                                         const PredictOptions& options) {
  return std::make_unique<TaggingTask>(model, options);
}

}  // namespace tercel::tasks
