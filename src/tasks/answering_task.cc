#include <memory>
#include <utility>

#include <fmt/format.h>

#include "src/base/fail.h"
#include "src/tasks/answer_request.h"
#include "src/tasks/result_text.h"
#include "src/tasks/text_task.h"

namespace tercel::tasks {
namespace {

struct AnsweringJob : Job {
  AnsweringJob(const TextModel& model, std::string asked, std::string given,
               const QuestionAnsweringOptions& options)
      : question(std::move(asked)),
        document(std::move(given)),
        request(model, {question, document}, options) {}
  std::string question;
  std::string document;
  AnswerRequest request;
};

class AnsweringTask : public TextTask {
 public:
  AnsweringTask(const std::filesystem::path& path, const PredictOptions& options)
      : TextTask(path, options, {options.question_field, options.context_field}),
        question_(options.question_field),
        context_(options.context_field),
        answering_(options.answering) {
    answering_.top_k = options.top_k;
    check(answering_);
    model().require_outputs("question answering", span_outputs());
  }

  Started start(const data::Record& record) const override {
    auto job = std::make_shared<AnsweringJob>(model(), record.text(question_),
                                              record.text(context_), answering_);
    Started started;
    const Windows& windows = job->request.windows();
    started.bytes = sizeof(AnsweringJob) + job->question.size() + job->document.size() +
                    windows.bytes() +
                    static_cast<std::size_t>(answering_.n_best) * sizeof(SpanCandidate);
    for (std::size_t i = 0; i < windows.count(); ++i) {
      started.examples.push_back(owning_example(windows.row(i)));
    }
    started.job = std::move(job);
    return started;
  }

  void add(Job& job, std::size_t row, std::span<const Tensor> outputs, int64_t at) const override {
    static_cast<AnsweringJob&>(job).request.add(row, outputs, at);
  }

  void write_json(const Job& job, std::string& out) const override {
    out += "\"answers\":[";
    const char* separator = "";
    for (const Answer& answer : answers(job)) {
      out += std::exchange(separator, ",");
      out += "{\"text\":";
      append_json_string(out, answer.text);
      out += ",\"score\":";
      append_json_number(out, answer.score);
      out += ",\"probability\":";
      append_json_number(out, answer.probability);
      fmt::format_to(std::back_inserter(out), ",\"begin\":{},\"end\":{},\"is_null\":{}}}",
                     answer.begin, answer.end, answer.is_null);
    }
    out += ']';
  }

  std::vector<std::string> columns() const override {
    return {"answer", "score", "probability", "begin", "end"};
  }

  void write_csv(const Job& job, const std::string& prefix, char separator,
                 std::string& out) const override {
    for (const Answer& answer : answers(job)) {
      out += prefix;
      append_csv_field(out, answer.text, separator);
      fmt::format_to(std::back_inserter(out), "{0}{1}{0}{2}{0}{3}{0}{4}\n", separator, answer.score,
                     answer.probability, answer.begin, answer.end);
    }
  }

  std::string no_array() const override {
    return "question answering gives no array: write .jsonl, .csv or .tsv";
  }

 private:
  const std::vector<std::string>& outputs() const override { return span_outputs(); }

  std::vector<Answer> answers(const Job& job) const {
    return static_cast<const AnsweringJob&>(job).request.answers(answering_);
  }

  std::string question_;
  std::string context_;
  QuestionAnsweringOptions answering_;
};

}  // namespace

std::unique_ptr<RecordTask> answering_task(const std::filesystem::path& model,
                                           const PredictOptions& options) {
  return std::make_unique<AnsweringTask>(model, options);
}

}  // namespace tercel::tasks
