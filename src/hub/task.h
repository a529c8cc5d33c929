#pragma once
// What a checkpoint's head computes; the names are those of the Hugging Face hub.

#include <optional>
#include <string>
#include <string_view>

namespace tercel::hub {

enum class Task {
  question_answering,
  text_classification,
  token_classification,
  fill_mask,
  feature_extraction,
  sentence_similarity,
  image_classification,
  replaced_token_detection,
};

std::string_view task_name(Task task);
std::optional<Task> parse_task(std::string_view name);
std::string task_names();  // "question-answering, text-classification, …"

// The task of a class of the transformers library: "BertForQuestionAnswering", "BertModel".
// Nothing when no task has such a class.
std::optional<Task> task_of_class(std::string_view class_name);

}  // namespace tercel::hub
