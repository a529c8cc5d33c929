#pragma once
// From a classifier's logits to the scores of its labels.

#include <string>
#include <vector>

#include "src/tasks/text_model.h"

namespace tercel::tasks {

// Throws Errc::invalid_argument unless the model gives one row of logits a text.
void require_classifier(const TextModel& model);

// The output that holds the logits.
const std::vector<std::string>& logits_output();

// The scores of row `at` of the batch, in the order of the model's labels: a softmax over the
// labels, a sigmoid of each when the model has one label or was trained on several a text, or the
// logits themselves when it was trained on regression. Throws Errc::invalid_file when the logits
// have another shape than [batch, labels].
std::vector<float> label_scores(const TextModel& model, const Tensor& logits, int64_t at);

}  // namespace tercel::tasks
