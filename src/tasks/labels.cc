#include "src/tasks/labels.h"

#include <filesystem>

#include "src/base/json.h"

namespace tercel::tasks {
namespace {

void read_names(const Json& names, std::vector<std::string>& labels) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (const auto name = names.find(std::to_string(i))) labels[i] = std::string(name->string());
  }
}

}  // namespace

std::vector<std::string> label_names(const TextModel& model, int64_t count) {
  std::vector<std::string> labels;
  for (int64_t i = 0; i < count; ++i) labels.push_back("LABEL_" + std::to_string(i));
  const std::string given = model.metadata("tercel.id2label");
  const auto config = model.folder() / "config.json";
  std::error_code ignored;
  if (!given.empty()) {
    const auto document = JsonDocument::parse(given, "metadata \"tercel.id2label\"");
    read_names(document.root(), labels);
  } else if (std::filesystem::is_regular_file(config, ignored)) {
    const auto document = JsonDocument::open(config);
    if (const auto names = document.root().find("id2label")) read_names(*names, labels);
  }
  return labels;
}

}  // namespace tercel::tasks
