#pragma once
// Names of the classes that a model tells apart.

#include <cstdint>
#include <string>
#include <vector>

#include "src/tasks/text_model.h"

namespace tercel::tasks {

// `count` names: the metadata's "tercel.id2label", the "id2label" of the config.json beside the
// model, or LABEL_0, LABEL_1, … . Throws Errc::invalid_file when they are malformed.
std::vector<std::string> label_names(const TextModel& model, int64_t count);

}  // namespace tercel::tasks
