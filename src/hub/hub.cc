#include "src/hub/hub.h"

#include <string>

#include <nlohmann/json.hpp>

#include "src/base/fail.h"
#include "src/hub/checkpoint.h"
#include "src/hub/models.h"

namespace tercel::hub {
namespace {

// config.json's "id2label" in the order of the labels, or LABEL_0 … where there is none.
std::string label_names(const Checkpoint& checkpoint, int64_t labels) {
  nlohmann::ordered_json names = nlohmann::ordered_json::object();
  const auto given = checkpoint.config().find("id2label");
  if (given && static_cast<int64_t>(given->size()) != labels) {
    fail(Errc::invalid_file, "{}: \"id2label\" has {} labels, but the classifier has {} rows",
         (checkpoint.directory / "config.json").string(), given->size(), labels);
  }
  for (int64_t i = 0; i < labels; ++i) {
    const std::string id = std::to_string(i);
    names[id] = given ? std::string((*given)[id].string()) : "LABEL_" + id;
  }
  return names.dump();
}

bool has_labels(Task task) {
  return task == Task::text_classification || task == Task::token_classification ||
         task == Task::image_classification;
}

void describe(ir::Model& model, const Checkpoint& checkpoint, int64_t max_tokens) {
  auto& metadata = model.metadata;
  metadata.emplace_back("tercel.task", task_name(checkpoint.task));
  metadata.emplace_back("tercel.architecture", checkpoint.architecture);
  if (max_tokens > 0) {
    metadata.emplace_back("tercel.max_length", std::to_string(max_length(checkpoint, max_tokens)));
  }
  if (has_labels(checkpoint.task)) {
    const int64_t labels = model.graph.outputs()[0]->type.dims->back().value();
    metadata.emplace_back("tercel.id2label", label_names(checkpoint, labels));
    const auto problem = checkpoint.config().string_or("problem_type", "");
    if (!problem.empty()) metadata.emplace_back("tercel.problem_type", problem);
  }
}

}  // namespace

bool is_checkpoint(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path / "config.json", ignored) ||
         std::filesystem::is_regular_file(path / "modules.json", ignored);
}

std::unique_ptr<ir::Model> load_checkpoint(const std::filesystem::path& directory,
                                           const LoadOptions& options) {
  const Checkpoint checkpoint = open_checkpoint(directory, options.task);
  const Architecture& architecture = find_architecture(checkpoint);
  auto model = std::make_unique<ir::Model>();
  model->opsets[""] = ir::kOpset;
  model->graph.name = architecture.model_type;
  Net net(model->graph, checkpoint);
  architecture.build(net);
  describe(*model, checkpoint, net.max_tokens());
  return model;
}

}  // namespace tercel::hub
