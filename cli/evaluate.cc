#include <algorithm>
#include <chrono>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/files.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "tercel/tasks.h"

namespace tercel::cli {
namespace {

using Clock = std::chrono::steady_clock;

// Questions whose windows are batched together.
constexpr std::size_t kQuestionsAtOnce = 64;

struct EvaluateOptions {
  std::string task;
  std::string data;
  std::string model;
  std::string output;
  int limit = 0;
  tasks::QuestionAnsweringOptions answering;
  SessionOptions session;
  bool json = false;
  bool quiet = false;
  bool explain = false;
};

void show_progress(std::size_t done, std::size_t total, Clock::time_point start) {
  constexpr std::size_t kWidth = 30;
  const std::size_t filled = done * kWidth / total;
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const double left = done > 0 ? seconds * static_cast<double>(total - done) / done : 0;
  print_error(fmt::format("\r[{}{}] {}/{} questions, {:.0f} s left ", std::string(filled, '#'),
                          std::string(kWidth - filled, '.'), done, total, left));
  if (done == total) print_error("\r\x1b[K");
}

std::vector<std::string> predict(const QuestionAnswering& model, const tasks::SquadData& data,
                                 const EvaluateOptions& options) {
  const bool progress = stderr_is_terminal() && !options.quiet;
  const auto start = Clock::now();
  const std::size_t total = data.questions.size();
  std::vector<std::string> predictions;
  while (predictions.size() < total) {
    if (progress) show_progress(predictions.size(), total, start);
    std::vector<tasks::Query> queries;
    const std::size_t end = std::min(predictions.size() + kQuestionsAtOnce, total);
    for (std::size_t i = predictions.size(); i < end; ++i) {
      const tasks::SquadQuestion& question = data.questions[i];
      queries.push_back({question.question, data.contexts[question.context]});
    }
    for (const auto& answers : model.ask_all(queries, options.answering, cancellable())) {
      predictions.push_back(answers.empty() ? std::string() : answers.front().text);
    }
  }
  if (progress) show_progress(total, total, start);
  return predictions;
}

void run(const EvaluateOptions& options) {
  if (options.task != "question-answering") {
    reject("{}: cannot be evaluated; expected question-answering", options.task);
  }
  tasks::SquadData data = tasks::read_squad(options.data);
  if (options.limit > 0 && data.questions.size() > static_cast<std::size_t>(options.limit)) {
    data.questions.resize(static_cast<std::size_t>(options.limit));
  }
  if (data.questions.empty()) reject("{}: no questions in it", options.data);
  const QuestionAnswering model(find_model(options.model), options.session);
  warn(model.session().warnings());
  if (options.explain) explain(model.session());

  const auto start = Clock::now();
  const auto predictions = predict(model, data, options);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  double exact = 0;
  double f1 = 0;
  Json by_id = Json::object();
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const auto& references = data.questions[i].answers;
    exact += tasks::squad_exact_match(predictions[i], references);
    f1 += tasks::squad_f1(predictions[i], references);
    by_id[data.questions[i].id] = predictions[i];
  }
  const auto count = static_cast<double>(predictions.size());
  exact /= count;
  f1 /= count;
  if (!options.output.empty()) write_file(options.output, to_text(by_id));
  print(options.json ? to_text(Json{{"questions", predictions.size()},
                                    {"exact_match", exact},
                                    {"f1", f1},
                                    {"seconds", seconds},
                                    {"questions_per_second", count / seconds}})
                     : fmt::format("questions    {}\nexact match  {:.2f}\nF1           {:.2f}\n"
                                   "time         {:.1f} s, {:.1f} questions a second\n",
                                   predictions.size(), exact, f1, seconds, count / seconds));
}

}  // namespace

void add_evaluate(CommandLine& line) {
  auto shared = std::make_shared<EvaluateOptions>();
  EvaluateOptions& evaluate = *shared;
  Options options = line.add(
      "evaluate", "Measure how well a model does a task",
      "  tercel evaluate question-answering --data dev-v1.1.json\n"
      "  tercel evaluate question-answering --data dev.json --limit 100 --dtype bf16 --json\n"
      "For question-answering: exact match and F1 by SQuAD's official rules.",
      [shared] { run(*shared); });
  options.text("job", evaluate.task, "JOB", "What to measure: question-answering", Need::required);
  options.text("--data", evaluate.data, "FILE", "Questions in SQuAD's format", Need::required);
  options.text("--model", evaluate.model, "PATH",
               "A checkpoint's directory or an ONNX file; default: as for ask");
  options.number("--limit", evaluate.limit, "Only the first N questions; 0: all", 0);
  options.text("--output", evaluate.output, "FILE", "Write the answers: JSON, question id to text");
  options.number("--batch-size", evaluate.answering.batch_size, "Windows that run together");
  add_answering_options(options, evaluate.answering);
  add_session_options(options, evaluate.session);
  options.flag("--json", evaluate.json, "Print JSON");
  options.flag("--quiet", evaluate.quiet, "No progress bar");
  options.flag("--explain", evaluate.explain,
               "Say on standard error which kernels were chosen, and why");
}

}  // namespace tercel::cli
