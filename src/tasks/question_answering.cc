#include <algorithm>
#include <deque>
#include <utility>

#include "src/tasks/answer_request.h"
#include "src/tasks/text_model.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

// Rows of token ids that are held at a time, for documents of many windows.
constexpr std::size_t kRowsAtOnce = 256;

// A window of one of the requests.
struct Place {
  AnswerRequest* request;
  std::size_t window;
};

void run_windows(const TextModel& model, std::span<const Place> places,
                 const QuestionAnsweringOptions& options, const RunOptions& run) {
  std::vector<TokenRow> rows;
  rows.reserve(places.size());
  for (const Place& place : places) rows.push_back(place.request->windows().row(place.window));
  model.run(rows, span_outputs(), options.batch_size, run,
            [&](std::size_t index, std::span<const Tensor> outputs, int64_t at) {
              places[index].request->add(places[index].window, outputs, at);
            });
}

}  // namespace

struct QuestionAnswering::State {
  TextModel model;
};

QuestionAnswering::QuestionAnswering(const std::filesystem::path& model,
                                     const SessionOptions& options)
    : state_(std::make_shared<State>(State{TextModel(model, options)})) {
  state_->model.require_outputs("question answering", span_outputs());
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
  std::deque<AnswerRequest> requests;
  std::vector<Place> places;
  for (const Query& query : queries) {
    AnswerRequest& request = requests.emplace_back(state_->model, query, options);
    for (std::size_t i = 0; i < request.windows().count(); ++i) places.push_back({&request, i});
  }
  for (std::size_t begin = 0; begin < places.size(); begin += kRowsAtOnce) {
    const std::size_t count = std::min(kRowsAtOnce, places.size() - begin);
    run_windows(state_->model, std::span(places).subspan(begin, count), options, run);
  }
  std::vector<std::vector<Answer>> answers;
  for (const AnswerRequest& request : requests) answers.push_back(request.answers(options));
  return answers;
}

const Session& QuestionAnswering::session() const { return state_->model.session(); }

}  // namespace tercel::tasks
