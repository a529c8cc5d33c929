#pragma once
// A checkpoint directory, opened: what a model builder reads.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "src/base/json.h"
#include "src/hub/task.h"
#include "src/hub/weights.h"

namespace tercel::hub {

struct Checkpoint {
  std::filesystem::path root;       // the directory given, perhaps with modules.json
  std::filesystem::path directory;  // the transformer's: `root`, or a folder in it
  JsonDocument config_document;
  std::unique_ptr<WeightSource> weights;
  std::string architecture;  // "BertForQuestionAnswering"
  std::string model_type;    // "bert"
  Task task = Task::feature_extraction;

  // config.json, or its "text_config" where one file describes several models (CLIP).
  Json config() const;
};

// A module of a sentence-transformers model after the transformer: modules.json's "type" (its last
// part: "Pooling") and folder.
struct SentenceModule {
  std::string type;
  std::filesystem::path directory;
};

// Throws as load_checkpoint does; `task` as LoadOptions::task.
Checkpoint open_checkpoint(const std::filesystem::path& root, const std::string& task);

// In order, without the transformer; nothing when there is no modules.json.
std::optional<std::vector<SentenceModule>> sentence_modules(const std::filesystem::path& root);

// Most tokens in one row: the least of what the model (`positions`), tokenizer_config.json and
// sentence_bert_config.json allow.
int64_t max_length(const Checkpoint& checkpoint, int64_t positions);

}  // namespace tercel::hub
