#include "src/hub/checkpoint.h"

#include <algorithm>

#include "src/base/fail.h"

namespace tercel::hub {
namespace {

namespace fs = std::filesystem;

struct Modules {
  fs::path transformer;
  std::vector<SentenceModule> others;
};

fs::path folder_in(const fs::path& root, std::string_view relative, const Json& where) {
  const fs::path part(relative);
  const bool leaves =
      std::any_of(part.begin(), part.end(), [](const fs::path& name) { return name == ".."; });
  if (part.is_absolute() || leaves) where.reject("the path of a folder inside the checkpoint");
  return part.empty() ? root : root / part;
}

std::optional<Modules> read_modules(const fs::path& root) {
  const auto path = root / "modules.json";
  if (!fs::exists(path)) return std::nullopt;
  const auto document = JsonDocument::open(path);
  Modules modules;
  bool first = true;
  document.root().for_each([&](const Json& module) {
    const Json type = module["type"];
    const std::string_view name = type.string();
    const auto directory = folder_in(root, module.string_or("path", ""), module["path"]);
    const std::string kind(name.substr(name.rfind('.') + 1));
    if (first != (kind == "Transformer")) {
      fail(Errc::unsupported,
           "{}: \"type\" is \"{}\"; expected one Transformer, as the first module", path.string(),
           name);
    }
    if (first) {
      modules.transformer = directory;
    } else {
      modules.others.push_back({kind, directory});
    }
    first = false;
  });
  if (first) document.root().reject("at least one module");
  return modules;
}

std::string first_architecture(const Json& config) {
  std::string name;
  if (const auto list = config.find("architectures")) {
    list->for_each([&](const Json& entry) {
      if (name.empty()) name = entry.string();
    });
  }
  return name;
}

Task choose_task(const Checkpoint& checkpoint, const std::string& wanted, bool has_modules) {
  if (!wanted.empty()) {
    const auto task = parse_task(wanted);
    if (!task) {
      fail(Errc::invalid_argument, "unknown task \"{}\"; expected one of {}", wanted, task_names());
    }
    return *task;
  }
  if (has_modules) return Task::sentence_similarity;
  if (checkpoint.architecture.empty()) return Task::feature_extraction;
  const auto task = task_of_class(checkpoint.architecture);
  if (!task) {
    fail(Errc::unsupported, "{}: architecture \"{}\" has no known head; give the task, one of {}",
         (checkpoint.directory / "config.json").string(), checkpoint.architecture, task_names());
  }
  return *task;
}

void lower_to(int64_t& bound, const fs::path& path, std::string_view key) {
  if (!fs::exists(path)) return;
  const auto document = JsonDocument::open(path);
  const auto value = document.root().find(key);
  if (!value) return;
  // Tokenizers without a limit write 1e30.
  const double limit = value->number();
  if (limit < 1) value->reject("a positive number of tokens");
  if (limit < static_cast<double>(bound)) bound = static_cast<int64_t>(limit);
}

}  // namespace

std::optional<std::vector<SentenceModule>> sentence_modules(const fs::path& root) {
  auto modules = read_modules(root);
  if (!modules) return std::nullopt;
  return std::move(modules->others);
}

Checkpoint open_checkpoint(const fs::path& root, const std::string& task) {
  Checkpoint checkpoint;
  checkpoint.root = root;
  const auto modules = read_modules(root);
  checkpoint.directory = modules ? modules->transformer : root;
  checkpoint.config_document = JsonDocument::open(checkpoint.directory / "config.json");
  const Json config = checkpoint.config_document.root();
  checkpoint.architecture = first_architecture(config);
  checkpoint.model_type = config.string_or("model_type", "");
  checkpoint.task = choose_task(checkpoint, task, modules.has_value());
  checkpoint.weights = open_weights(checkpoint.directory);
  return checkpoint;
}

Json Checkpoint::config() const {
  const Json root = config_document.root();
  return root.find("text_config").value_or(root);
}

int64_t max_length(const Checkpoint& checkpoint, int64_t positions) {
  int64_t bound = positions;
  lower_to(bound, checkpoint.directory / "tokenizer_config.json", "model_max_length");
  lower_to(bound, checkpoint.directory / "sentence_bert_config.json", "max_seq_length");
  return bound;
}

}  // namespace tercel::hub
