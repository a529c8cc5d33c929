#include "src/hub/task.h"

namespace tercel::hub {
namespace {

struct TaskRow {
  Task task;
  std::string_view name;
  std::string_view class_suffix;  // empty: no class of transformers has this head
};

constexpr TaskRow kTasks[] = {
    {Task::question_answering, "question-answering", "ForQuestionAnswering"},
    {Task::text_classification, "text-classification", "ForSequenceClassification"},
    {Task::token_classification, "token-classification", "ForTokenClassification"},
    {Task::fill_mask, "fill-mask", "ForMaskedLM"},
    {Task::feature_extraction, "feature-extraction", "Model"},
    {Task::sentence_similarity, "sentence-similarity", ""},
    {Task::image_classification, "image-classification", "ForImageClassification"},
    {Task::replaced_token_detection, "replaced-token-detection", "ElectraForPreTraining"},
};

}  // namespace

std::string_view task_name(Task task) {
  for (const TaskRow& row : kTasks) {
    if (row.task == task) return row.name;
  }
  return "unknown";
}

std::optional<Task> parse_task(std::string_view name) {
  for (const TaskRow& row : kTasks) {
    if (row.name == name) return row.task;
  }
  return std::nullopt;
}

std::string task_names() {
  std::string list;
  for (const TaskRow& row : kTasks) {
    if (!list.empty()) list += ", ";
    list += row.name;
  }
  return list;
}

std::optional<Task> task_of_class(std::string_view class_name) {
  for (const TaskRow& row : kTasks) {
    if (!row.class_suffix.empty() && class_name.ends_with(row.class_suffix)) return row.task;
  }
  if (class_name.ends_with("ModelWithProjection")) return Task::feature_extraction;
  return std::nullopt;
}

}  // namespace tercel::hub
