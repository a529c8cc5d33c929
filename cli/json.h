#pragma once
// JSON that is printed.

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "tercel/session.h"

namespace tercel::cli {

using Json = nlohmann::ordered_json;

// Indented, with a line end. Ill-formed UTF-8 is written as U+FFFD.
std::string to_text(const Json& json);

Json describe(const std::vector<TensorInfo>& infos);

}  // namespace tercel::cli
