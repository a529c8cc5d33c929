#include "src/text/model.h"

#include "src/text/registry.h"

namespace tercel::text {
namespace {

constexpr StageRow<Model> kModels[] = {
    {"WordPiece", make_wordpiece},
};

}  // namespace

std::unique_ptr<const Model> make_model(const Json& config) {
  // Files written before 2021 have no type; this member was WordPiece's alone.
  const bool old_wordpiece = config.find("max_input_chars_per_word").has_value();
  const std::string_view type =
      old_wordpiece ? config.string_or("type", "WordPiece") : config["type"].string();
  return find_stage<Model>(kModels, "model", type).make(config);
}

}  // namespace tercel::text
