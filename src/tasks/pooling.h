#pragma once
// From a model's output to one vector a text.

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "src/tasks/text_model.h"

namespace tercel::tasks {

// The model's `sentence_embedding`, or else the mean of `last_hidden_state` over the text's tokens.
class Pooling {
 public:
  // Throws Errc::invalid_argument when the model has neither output.
  explicit Pooling(const TextModel& model);

  const std::vector<std::string>& outputs() const { return outputs_; }
  // Numbers of a vector. Throws Errc::invalid_file when the output is not of a shape to pool, for a
  // text of `tokens` tokens.
  std::size_t size(const Tensor& output, std::size_t tokens) const;
  // Writes the vector of row `at` of the batch; `out` has size() numbers.
  void pool(const Tensor& output, int64_t at, std::size_t tokens, std::span<float> out) const;

 private:
  std::vector<std::string> outputs_;
  bool pooled_;
};

}  // namespace tercel::tasks
