#include "src/tasks/record_task.h"

#include <array>
#include <string_view>
#include <utility>

#include "src/base/fail.h"
#include "src/tasks/text_task.h"
#include "tercel/text_data.h"

namespace tercel::tasks {
namespace {

struct TaskName {
  std::string_view name;
  std::unique_ptr<RecordTask> (*make)(const std::filesystem::path&, const PredictOptions&);
};
constexpr std::array kTasks = {TaskName{"question-answering", answering_task},
                               TaskName{"text-classification", classification_task},
                               TaskName{"token-classification", tagging_task},
                               TaskName{"embedding", embedding_task},
                               TaskName{"tensors", tensors_task}};

}  // namespace

Tensor RecordTask::array(const Job&) const { fail(Errc::invalid_argument, "{}", no_array()); }

data::Example owning_example(TokenRow row) {
  Encoding encoding;
  encoding.ids = std::move(row.ids);
  encoding.type_ids = std::move(row.type_ids);
  return data::example_of(std::move(encoding));
}

std::unique_ptr<RecordTask> make_record_task(const std::filesystem::path& model,
                                             const PredictOptions& options) {
  for (const TaskName& task : kTasks) {
    if (task.name == options.task) return task.make(model, options);
  }
  std::string names;
  for (const TaskName& task : kTasks)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", task.name);
  fail(Errc::invalid_argument, "\"{}\" is no task; expected one of {}", options.task, names);
}

}  // namespace tercel::tasks
