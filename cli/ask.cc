#include <chrono>
#include <iostream>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/excerpt.h"
#include "cli/files.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/models.h"
#include "tercel/tasks.h"
#include "tercel/tokenizer.h"

namespace tercel::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct AskOptions {
  std::string document;
  std::string model;
  std::vector<std::string> questions;
  tasks::QuestionAnsweringOptions answering;
  SessionOptions session;
  bool json = false;
  bool quiet = false;
  bool explain = false;
};

struct Asked {
  std::string question;
  std::vector<tasks::Answer> answers;
  double milliseconds = 0;
};

Asked ask(const QuestionAnswering& model, const std::string& question, const std::string& document,
          const AskOptions& options) {
  const auto start = Clock::now();
  auto answers = model.ask(question, document, options.answering, cancellable());
  const std::chrono::duration<double, std::milli> took = Clock::now() - start;
  return {question, std::move(answers), took.count()};
}

Json to_json(const Asked& asked, const std::string& document, const CharOffsets& characters) {
  Json answers = Json::array();
  for (const tasks::Answer& answer : asked.answers) {
    Json entry = {{"text", answer.text},
                  {"score", answer.score},
                  {"probability", answer.probability},
                  {"begin", answer.begin},
                  {"end", answer.end},
                  {"begin_char", characters.chars_before(static_cast<uint32_t>(answer.begin))},
                  {"end_char", characters.chars_before(static_cast<uint32_t>(answer.end))},
                  {"is_null", answer.is_null}};
    entry["sentence"] = answer.is_null ? "" : excerpt(document, answer.begin, answer.end, {"", ""});
    answers.push_back(std::move(entry));
  }
  return {{"question", asked.question},
          {"answers", std::move(answers)},
          {"milliseconds", asked.milliseconds}};
}

std::string plain_text(const Asked& asked, const std::string& document) {
  const Marks marks = answer_marks();
  std::string text = fmt::format("{}  ({:.0f} ms)\n", one_line(asked.question), asked.milliseconds);
  if (asked.answers.empty()) text += "  no answer found\n";
  int rank = 0;
  for (const tasks::Answer& answer : asked.answers) {
    const std::string number =
        asked.answers.size() > 1 ? fmt::format("{:2}. ", ++rank) : std::string("  ");
    text += fmt::format("{}{}  (probability {:.2f}, score {:.2f})\n", number,
                        answer.is_null ? "no answer in the document" : one_line(answer.text),
                        answer.probability, answer.score);
    if (answer.is_null) continue;
    text += fmt::format("{}{}\n", std::string(number.size(), ' '),
                        excerpt(document, answer.begin, answer.end, marks));
  }
  return text;
}

std::string answers_alone(const Asked& asked) {
  std::string text;
  for (const tasks::Answer& answer : asked.answers) text += one_line(answer.text) + "\n";
  return text.empty() ? "\n" : text;
}

// Questions are read until the end of input, or "quit".
void converse(const QuestionAnswering& model, const std::string& document,
              const AskOptions& options) {
  print_error("Ask about the document; an empty line, quit or Ctrl-D ends.\n");
  std::string question;
  while (true) {
    print_error("? ");
    wait_for_input();
    if (!std::getline(std::cin, question)) break;
    const std::string word = one_line(question);
    if (word.empty() || word == "quit" || word == "exit") return;
    try {
      const Asked asked = ask(model, question, document, options);
      print(options.quiet ? answers_alone(asked) : plain_text(asked, document));
    } catch (const Error& error) {
      if (error.code() != Errc::invalid_argument) throw;
      print_error(fmt::format("tercel: {}\n", one_line(error.what())));
    }
  }
  print_error("\n");
  stop_if_interrupted();
}

void run(const AskOptions& options) {
  const bool interactive = options.questions.empty();
  if (interactive && (options.document == "-" || options.json || !stdin_is_terminal())) {
    reject(
        "no question: add one in quotes, such as \"Who …?\" (a prompt opens when questions can "
        "be typed on a terminal)");
  }
  for (const std::string& question : options.questions) {
    if (one_line(question).empty())
      reject("the question is empty: ask something, such as \"Who …?\"");
  }
  const std::string document = read_text(options.document, tasks::kMaxDocumentBytes);
  if (one_line(document).empty()) {
    reject("{}: the document is empty: give a text that holds the answer", options.document);
  }
  const QuestionAnswering model(find_model(options.model), options.session);
  warn(model.session().warnings());
  if (options.explain) explain(model.session());
  if (interactive) return converse(model, document, options);

  std::string text;
  Json results = Json::array();
  std::optional<CharOffsets> characters;
  if (options.json) characters.emplace(document);
  for (const std::string& question : options.questions) {
    const Asked asked = ask(model, question, document, options);
    if (options.json) {
      results.push_back(to_json(asked, document, *characters));
    } else if (options.quiet) {
      text += answers_alone(asked);
    } else {
      text += (text.empty() ? "" : "\n") + plain_text(asked, document);
    }
  }
  print(options.json ? to_text(Json{{"document", options.document}, {"results", results}}) : text);
}

}  // namespace

void add_ask(CommandLine& line) {
  auto shared = std::make_shared<AskOptions>();
  AskOptions& ask = *shared;
  Options options = line.add(
      "ask", "Answer questions from a document",
      "  tercel ask --document report.txt \"Who wrote it?\" \"When was it published?\"\n"
      "  pdftotext paper.pdf - | tercel ask --document - --top-k 3 --json \"What was measured?\"\n"
      "Without a question, a prompt opens on a terminal. The default model is models/minilm-qa: "
      "in\n"
      "the current directory, beside the command's folder, or in share/tercel of its prefix.",
      [shared] { run(*shared); });
  options.text("--document", ask.document, "FILE", "A text to answer from; -: standard input",
               Need::required);
  options.text("--model", ask.model, "PATH", "A checkpoint's directory or an ONNX file");
  options.number("--top-k", ask.answering.top_k, "Answers to give, best first");
  options.number("--n-best", ask.answering.n_best,
                 "Best starts and ends that are combined in a window, best spans that are kept");
  options.number("--max-answer-tokens", ask.answering.max_answer_tokens,
                 "Longest answer, in tokens");
  add_answering_options(options, ask.answering);
  add_session_options(options, ask.session);
  options.flag("--json", ask.json, "Print JSON");
  options.flag("--quiet", ask.quiet, "Print the answers alone, one a line");
  options.flag("--explain", ask.explain,
               "Say on standard error which kernels were chosen, and why");
  options.texts("question", ask.questions, "QUESTION", "Questions, each in quotes");
}

}  // namespace tercel::cli
