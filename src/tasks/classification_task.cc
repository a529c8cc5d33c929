#include <algorithm>
#include <memory>
#include <mutex>
#include <numeric>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/tasks/label_scores.h"
#include "src/tasks/labels.h"
#include "src/tasks/result_text.h"
#include "src/tasks/text_task.h"

namespace tercel::tasks {
namespace {

struct ClassificationJob : Job {
  std::vector<float> scores;  // in the order of the model's labels
};

class ClassificationTask : public TextTask {
 public:
  ClassificationTask(const std::filesystem::path& path, const PredictOptions& options)
      : TextTask(path, options, fields_of(options)),
        text_(options.text_field),
        pair_(options.pair_field),
        top_k_(static_cast<std::size_t>(options.top_k)) {
    require_classifier(model());
  }

  Started start(const data::Record& record) const override {
    const std::string& text = record.text(text_);
    Started started{std::make_shared<ClassificationJob>(), {}, sizeof(ClassificationJob)};
    started.examples.push_back(owning_example(
        pair_.empty() ? model().row_of(text) : model().row_of(text, record.text(pair_))));
    return started;
  }

  void add(Job& job, std::size_t, std::span<const Tensor> outputs, int64_t at) const override {
    auto& scores = static_cast<ClassificationJob&>(job).scores;
    scores = label_scores(model(), outputs[0], at);
    std::call_once(named_,
                   [&] { names_ = label_names(model(), static_cast<int64_t>(scores.size())); });
  }

  void write_json(const Job& job, std::string& out) const override {
    out += "\"labels\":[";
    const auto& scores = static_cast<const ClassificationJob&>(job).scores;
    const char* separator = "";
    for (const std::size_t label : best(scores)) {
      out += std::exchange(separator, ",");
      out += "{\"label\":";
      append_json_string(out, names_[label]);
      out += ",\"score\":";
      append_json_number(out, scores[label]);
      out += '}';
    }
    out += ']';
  }

  std::vector<std::string> columns() const override { return {"label", "score"}; }

  void write_csv(const Job& job, const std::string& prefix, char separator,
                 std::string& out) const override {
    const auto& scores = static_cast<const ClassificationJob&>(job).scores;
    for (const std::size_t label : best(scores)) {
      out += prefix;
      append_csv_field(out, names_[label], separator);
      fmt::format_to(std::back_inserter(out), "{}{}\n", separator, scores[label]);
    }
  }

  Tensor array(const Job& job) const override {
    const auto& scores = static_cast<const ClassificationJob&>(job).scores;
    return Tensor::from(scores, {static_cast<int64_t>(scores.size())});
  }

 private:
  static std::vector<std::string> fields_of(const PredictOptions& options) {
    std::vector<std::string> fields{options.text_field};
    if (!options.pair_field.empty()) fields.push_back(options.pair_field);
    return fields;
  }

  const std::vector<std::string>& outputs() const override { return logits_output(); }

  // Labels, best first.
  std::vector<std::size_t> best(const std::vector<float>& scores) const {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    if (top_k_ > 0 && order.size() > top_k_) order.resize(top_k_);
    return order;
  }

  std::string text_;
  std::string pair_;
  std::size_t top_k_;
  mutable std::once_flag named_;
  mutable std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<RecordTask> classification_task(const std::filesystem::path& model,
                                                const PredictOptions& options) {
  return std::make_unique<ClassificationTask>(model, options);
}

}  // namespace tercel::tasks
