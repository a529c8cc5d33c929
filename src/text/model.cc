#include "src/text/model.h"

#include "src/text/registry.h"

namespace tercel::text {
namespace {

constexpr StageRow<Model> kModels[] = {
    {"BPE", make_bpe},
    {"Unigram", make_unigram},
    {"WordLevel", make_wordlevel},
    {"WordPiece", make_wordpiece},
};

// Files written before 2021 have no type: members that only one kind has tell them apart.
std::string_view type_of(const Json& config) {
  if (const auto type = config.find("type")) return type->string();
  if (config.find("merges")) return "BPE";
  if (config.find("max_input_chars_per_word")) return "WordPiece";
  return config["vocab"].is_array() ? "Unigram" : "WordLevel";
}

}  // namespace

std::unique_ptr<const Model> make_model(const Json& config) {
  return find_stage<Model>(kModels, "model", type_of(config)).make(config);
}

}  // namespace tercel::text
