#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "src/base/fail.h"
#include "src/tasks/spans.h"
#include "src/tasks/text_model.h"
#include "src/tasks/windows.h"
#include "src/text/unicode.h"
#include "src/text/utf8.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

const std::vector<std::string> kOutputs = {"start_logits", "end_logits"};

// Rows of token ids that are held at a time, for documents of many windows.
constexpr std::size_t kRowsAtOnce = 256;

std::string_view trim_front(std::string_view text) {
  while (!text.empty()) {
    const text::CodePoint first = text::decode_first(text);
    if (!text::is(first.code, text::kWhite)) break;
    text.remove_prefix(first.length);
  }
  return text;
}

void check(const QuestionAnsweringOptions& options) {
  const auto at_least_one = [](std::string_view name, int value) {
    if (value < 1) fail(Errc::invalid_argument, "{} = {}: expected at least 1", name, value);
  };
  at_least_one("top_k", options.top_k);
  at_least_one("n_best", options.n_best);
  at_least_one("max_answer_tokens", options.max_answer_tokens);
  at_least_one("batch_size", options.batch_size);
  if (options.top_k > options.n_best) {
    fail(Errc::invalid_argument,
         "top_k = {} is more than the {} best spans that are kept: choose a smaller one, or a "
         "larger n_best",
         options.top_k, options.n_best);
  }
}

// Windows no longer than the model takes, of the same proportions.
WindowShape window_shape(const QuestionAnsweringOptions& options, int model_length) {
  if (options.max_length <= model_length) return {options.max_length, options.stride};
  const int64_t stride = int64_t{options.stride} * model_length / options.max_length;
  return {model_length, static_cast<int>(stride)};
}

// One question on its way: its windows, and the spans found in those that have run.
struct Request {
  Request(const TextModel& model, const Query& query, const QuestionAnsweringOptions& options)
      : document(query.document), pool({options.n_best, options.max_answer_tokens}) {
    const std::string_view question = trim_front(query.question);
    if (question.empty()) {
      fail(Errc::invalid_argument, "the question is empty: ask something, such as \"Who …?\"");
    }
    if (trim_front(document).empty()) {
      fail(Errc::invalid_argument, "the document is empty: give a text that holds the answer");
    }
    windows.emplace(model.tokenizer(), &question, document,
                    window_shape(options, model.max_length()));
  }

  Answer answer(const SpanCandidate& span) const {
    const auto offsets = [&](std::size_t position) {
      return windows->offsets(windows->begin(span.window) + position - windows->prefix());
    };
    Answer result;
    result.score = span.score;
    result.begin = offsets(span.begin).begin;
    result.end = std::max<std::size_t>(offsets(span.last).end, result.begin);
    result.text = document.substr(result.begin, result.end - result.begin);
    return result;
  }

  std::string_view document;
  std::optional<Windows> windows;
  SpanPool pool;
};

void set_probabilities(std::vector<Answer>& answers) {
  float highest = -std::numeric_limits<float>::infinity();
  for (const Answer& answer : answers) highest = std::max(highest, answer.score);
  double sum = 0;
  for (const Answer& answer : answers) sum += std::exp(double{answer.score} - highest);
  for (Answer& answer : answers) {
    answer.probability = static_cast<float>(std::exp(double{answer.score} - highest) / sum);
  }
}

bool repeats(const Answer& a, const Answer& b) {
  return !a.is_null && !b.is_null && a.text == b.text && a.begin < b.end && b.begin < a.end;
}

std::vector<Answer> decode(const Request& request, const QuestionAnsweringOptions& options) {
  std::vector<Answer> all;
  for (const SpanCandidate& span : request.pool.best()) all.push_back(request.answer(span));
  if (options.allow_null) {
    const float null_score = request.pool.null_score();
    const auto place = std::find_if(all.begin(), all.end(), [&](const Answer& answer) {
      return null_score - answer.score > options.null_threshold;
    });
    Answer null;
    null.score = null_score;
    null.is_null = true;
    all.insert(place, null);
  }
  set_probabilities(all);
  std::vector<Answer> chosen;
  for (Answer& answer : all) {
    if (chosen.size() == static_cast<std::size_t>(options.top_k)) break;
    const bool seen = std::any_of(chosen.begin(), chosen.end(),
                                  [&](const Answer& other) { return repeats(answer, other); });
    if (!seen) chosen.push_back(std::move(answer));
  }
  return chosen;
}

// A window of one of the requests.
struct Place {
  Request* request;
  std::size_t window;
};

void run_windows(const TextModel& model, std::span<const Place> places,
                 const QuestionAnsweringOptions& options, const RunOptions& run) {
  std::vector<TokenRow> rows;
  rows.reserve(places.size());
  for (const Place& place : places) rows.push_back(place.request->windows->row(place.window));
  model.run(rows, kOutputs, options.batch_size, run,
            [&](std::size_t index, std::span<const Tensor> outputs, int64_t at) {
              const std::size_t length = rows[index].ids.size();
              for (const Tensor& output : outputs) {
                if (output.rank() != 2 || output.shape()[1] < static_cast<int64_t>(length)) {
                  fail(Errc::invalid_file,
                       "the model's logits have shape {}; expected [batch, sequence]",
                       to_string(output.shape()));
                }
              }
              const auto logits = [&](const Tensor& output) {
                const auto begin = static_cast<std::size_t>(at * output.shape()[1]);
                return output.values<float>().subspan(begin, length);
              };
              const Windows& windows = *places[index].request->windows;
              const std::size_t window = places[index].window;
              const std::size_t text_begin = windows.prefix();
              const std::size_t tokens = windows.end(window) - windows.begin(window);
              places[index].request->pool.add_window(window, logits(outputs[0]), logits(outputs[1]),
                                                     text_begin, text_begin + tokens);
            });
}

}  // namespace

struct QuestionAnswering::State {
  TextModel model;
};

QuestionAnswering::QuestionAnswering(const std::filesystem::path& model,
                                     const SessionOptions& options)
    : state_(std::make_shared<State>(State{TextModel(model, options)})) {
  state_->model.require_outputs("question answering", kOutputs);
}

std::vector<Answer> QuestionAnswering::ask(std::string_view question, std::string_view document,
                                           const QuestionAnsweringOptions& options,
                                           const RunOptions& run) const {
  const Query query{question, document};
  return std::move(ask_all({&query, 1}, options, run).front());
}

std::vector<std::vector<Answer>> QuestionAnswering::ask_all(std::span<const Query> queries,
                                                            const QuestionAnsweringOptions& options,
                                                            const RunOptions& run) const {
  check(options);
  std::deque<Request> requests;
  std::vector<Place> places;
  for (const Query& query : queries) {
    Request& request = requests.emplace_back(state_->model, query, options);
    for (std::size_t i = 0; i < request.windows->count(); ++i) places.push_back({&request, i});
  }
  for (std::size_t begin = 0; begin < places.size(); begin += kRowsAtOnce) {
    const std::size_t count = std::min(kRowsAtOnce, places.size() - begin);
    run_windows(state_->model, std::span(places).subspan(begin, count), options, run);
  }
  std::vector<std::vector<Answer>> answers;
  for (const Request& request : requests) answers.push_back(decode(request, options));
  return answers;
}

const Session& QuestionAnswering::session() const { return state_->model.session(); }

}  // namespace tercel::tasks
