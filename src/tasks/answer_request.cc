#include "src/tasks/answer_request.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "src/base/fail.h"
#include "src/text/unicode.h"
#include "src/text/utf8.h"

namespace tercel::tasks {
namespace {

std::string_view trim_front(std::string_view text) {
  while (!text.empty()) {
    const text::CodePoint first = text::decode_first(text);
    if (!text::is(first.code, text::kWhite)) break;
    text.remove_prefix(first.length);
  }
  return text;
}

// Windows no longer than the model takes, of the same proportions.
WindowShape window_shape(const QuestionAnsweringOptions& options, int model_length) {
  if (options.max_length <= model_length) return {options.max_length, options.stride};
  const int64_t stride = int64_t{options.stride} * model_length / options.max_length;
  return {model_length, static_cast<int>(stride)};
}

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

}  // namespace

const std::vector<std::string>& span_outputs() {
  static const std::vector<std::string> names = {"start_logits", "end_logits"};
  return names;
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

AnswerRequest::AnswerRequest(const TextModel& model, const Query& query,
                             const QuestionAnsweringOptions& options)
    : document_(query.document), pool_({options.n_best, options.max_answer_tokens}) {
  const std::string_view question = trim_front(query.question);
  if (question.empty()) {
    fail(Errc::invalid_argument, "the question is empty: ask something, such as \"Who …?\"");
  }
  if (trim_front(document_).empty()) {
    fail(Errc::invalid_argument, "the document is empty: give a text that holds the answer");
  }
  windows_.emplace(model.tokenizer(), &question, document_,
                   window_shape(options, model.max_length()));
}

void AnswerRequest::add(std::size_t window, std::span<const Tensor> outputs, int64_t at) {
  const std::size_t length = windows_->length(window);
  for (const Tensor& output : outputs) {
    if (output.rank() != 2 || output.shape()[1] < static_cast<int64_t>(length)) {
      fail(Errc::invalid_file, "the model's logits have shape {}; expected [batch, sequence]",
           to_string(output.shape()));
    }
  }
  const auto logits = [&](const Tensor& output) {
    const auto begin = static_cast<std::size_t>(at * output.shape()[1]);
    return output.values<float>().subspan(begin, length);
  };
  const std::size_t begin = windows_->prefix();
  const std::size_t tokens = windows_->end(window) - windows_->begin(window);
  pool_.add_window(window, logits(outputs[0]), logits(outputs[1]), begin, begin + tokens);
}

Answer AnswerRequest::answer(const SpanCandidate& span) const {
  const auto offsets = [&](std::size_t position) {
    return windows_->offsets(windows_->begin(span.window) + position - windows_->prefix());
  };
  Answer result;
  result.score = span.score;
  result.begin = offsets(span.begin).begin;
  result.end = std::max<std::size_t>(offsets(span.last).end, result.begin);
  result.text = document_.substr(result.begin, result.end - result.begin);
  return result;
}

std::vector<Answer> AnswerRequest::answers(const QuestionAnsweringOptions& options) const {
  std::vector<Answer> all;
  for (const SpanCandidate& span : pool_.best()) all.push_back(answer(span));
  if (options.allow_null) {
    const float null_score = pool_.null_score();
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

}  // namespace tercel::tasks
