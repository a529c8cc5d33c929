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

// Larger documents are refused: their windows would run for a quarter of an hour and more.
inline constexpr std::size_t kMaxDocumentBytes = std::size_t{16} << 20;

struct QuestionAnsweringOptions {
  int top_k = 1;  // answers to return, at most n_best
  // Best start and end positions that are combined, a window; and best spans that are kept.
  int n_best = 20;
  int max_answer_tokens = 30;
  // Tokens of a window: question, special tokens and a piece of the document. A model that takes
  // fewer gets shorter windows, their stride shortened in proportion.
  int max_length = 384;
  int stride = 128;    // document tokens that neighbouring windows share
  int batch_size = 8;  // windows that run together
  // SQuAD 2: also consider that the document has no answer. The null answer wins when its score
  // (the least over the windows of start logit + end logit at the first token) passes the best
  // span's by more than `null_threshold`.
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

struct Query {
  std::string_view question;
  std::string_view document;
};

class TERCEL_API QuestionAnswering {
 public:
  explicit QuestionAnswering(const std::filesystem::path& model,
                             const SessionOptions& options = {});

  // Best answers, best first; overlapping spans of equal text are one answer; empty when no span
  // qualifies. Throws Errc::invalid_argument on an empty question or document, on a question that
  // leaves no room for the document, and on a document of more than kMaxDocumentBytes.
  std::vector<Answer> ask(std::string_view question, std::string_view document,
                          const QuestionAnsweringOptions& options = {},
                          const RunOptions& run = {}) const;

  // The same for many questions: windows of similar length run together, whatever question they
  // belong to, which changes no answer. One entry a query.
  std::vector<std::vector<Answer>> ask_all(std::span<const Query> queries,
                                           const QuestionAnsweringOptions& options = {},
                                           const RunOptions& run = {}) const;

  const Session& session() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

struct Label {
  std::string name;
  float score = 0;  // probability; what the model says, for one that was trained on regression
};

class TERCEL_API TextClassification {
 public:
  explicit TextClassification(const std::filesystem::path& model,
                              const SessionOptions& options = {});

  // All labels, most probable first, for each text. Probabilities are a softmax over the labels, or
  // a sigmoid of each when the model has one label or was trained on several a text. Texts longer
  // than the model's maximum are cut.
  std::vector<std::vector<Label>> classify(std::span<const std::string> texts,
                                           const RunOptions& run = {}) const;

  // The same of pairs: `first` and each of the texts. So a cross-encoder, a model with one label,
  // says how well passages answer a question. A pair that is too long loses from its longer text.
  std::vector<std::vector<Label>> classify_pairs(std::string_view first,
                                                 std::span<const std::string> texts,
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

  // One entry a token of the text (special tokens left out), its most probable label. A long text
  // is read in windows; each token's label is from the window that sees most around it.
  std::vector<EntityToken> classify(std::string_view text, const RunOptions& run = {}) const;

  const Session& session() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

class TERCEL_API Embedding {
 public:
  explicit Embedding(const std::filesystem::path& model, const SessionOptions& options = {});

  // f32 [texts, dimensions]: the model's `sentence_embedding`, or else the mean of
  // `last_hidden_state` over the text's tokens. Texts longer than the model's maximum are cut.
  Tensor embed(std::span<const std::string> texts, const RunOptions& run = {}) const;

  const Session& session() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// A file of questions in SQuAD's format.
struct SquadQuestion {
  std::string id;
  std::string question;
  std::size_t context = 0;           // index into SquadData::contexts
  std::vector<std::string> answers;  // none: SQuAD 2's question without an answer
};
struct SquadData {
  std::vector<std::string> contexts;
  std::vector<SquadQuestion> questions;  // in the file's order
};
// Throws Errc::not_found or Errc::invalid_file.
TERCEL_API SquadData read_squad(const std::filesystem::path& path);

// Exact match and F1 by SQuAD's official rules (evaluate-v1.1, and v2.0 for questions without
// answers, which have no references): lower case, no ASCII punctuation, no articles, single spaces;
// F1 over tokens; best of the reference answers. Percent.
TERCEL_API double squad_exact_match(std::string_view prediction,
                                    std::span<const std::string> references);
TERCEL_API double squad_f1(std::string_view prediction, std::span<const std::string> references);

}  // namespace tasks

using tasks::Embedding;
using tasks::QuestionAnswering;
using tasks::TextClassification;
using tasks::TokenClassification;

}  // namespace tercel
