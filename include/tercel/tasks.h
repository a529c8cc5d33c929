#pragma once
// Text in, answers out: question answering, classification, embedding. A model is a checkpoint's
// directory, or an ONNX file with its tokenizer.json (and config.json) beside it.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tercel/export.h"
#include "tercel/session.h"

namespace tercel {
namespace tasks {

struct QuestionAnsweringOptions {
  int top_k = 1;    // answers to return
  int n_best = 20;  // best start and end positions that are combined, a window
  int max_answer_tokens = 30;
  int max_length = 384;  // tokens of a window: question, special tokens and a piece of the document
  int stride = 128;      // tokens that neighbouring windows share
  int batch_size = 8;    // windows that run together
  // SQuAD 2: also consider that the document has no answer. The null answer wins when its score
  // passes the best span's by more than `null_threshold`.
  bool allow_null = false;
  float null_threshold = 0;
};

struct Answer {
  std::string text;       // document[begin, end)
  float score = 0;        // start logit + end logit
  float probability = 0;  // softmax of the score over the n-best answers
  std::size_t begin = 0;  // bytes of the document
  std::size_t end = 0;
  bool is_null = false;  // no answer in the document
};

class TERCEL_API QuestionAnswering {
 public:
  explicit QuestionAnswering(const std::filesystem::path& model,
                             const SessionOptions& options = {});

  // Best answers, best first; overlapping spans of equal text are one answer. Throws
  // Errc::invalid_argument on an empty question or document, and on a question that leaves no room
  // for the document.
  std::vector<Answer> ask(std::string_view question, std::string_view document,
                          const QuestionAnsweringOptions& options = {},
                          const RunOptions& run = {}) const;

  const Session& session() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct Label {
  std::string name;
  float score = 0;  // probability
};

class TERCEL_API TextClassification {
 public:
  explicit TextClassification(const std::filesystem::path& model,
                              const SessionOptions& options = {});

  // All labels, most probable first, for each text.
  std::vector<std::vector<Label>> classify(std::span<const std::string> texts,
                                           const RunOptions& run = {}) const;

  const Session& session() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct EntityToken {
  std::string text;
  std::string label;
  float score = 0;
  std::size_t begin = 0;  // bytes of the text
  std::size_t end = 0;
};

class TERCEL_API TokenClassification {
 public:
  explicit TokenClassification(const std::filesystem::path& model,
                               const SessionOptions& options = {});

  // One entry a token of the text (special tokens left out).
  std::vector<EntityToken> classify(std::string_view text, const RunOptions& run = {}) const;

  const Session& session() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

class TERCEL_API Embedding {
 public:
  explicit Embedding(const std::filesystem::path& model, const SessionOptions& options = {});

  // f32 [texts, dimensions]. Texts longer than the model's maximum are cut.
  Tensor embed(std::span<const std::string> texts, const RunOptions& run = {}) const;

  const Session& session() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Exact match and F1 by SQuAD's official rules (evaluate-v1.1, and v2.0 for questions without
// answers): lower case, no punctuation, no articles, single spaces; F1 over tokens; best of the
// reference answers. Percent.
TERCEL_API double squad_exact_match(std::string_view prediction,
                                    std::span<const std::string> references);
TERCEL_API double squad_f1(std::string_view prediction, std::span<const std::string> references);

}  // namespace tasks

using tasks::Embedding;
using tasks::QuestionAnswering;
using tasks::TextClassification;
using tasks::TokenClassification;

}  // namespace tercel
