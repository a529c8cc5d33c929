#pragma once
// Where commands find their model.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tercel/session.h"

namespace tercel::cli {

// `given` when it is not empty. Otherwise the model that ships, models/minilm-qa: in the current
// directory, beside the folder of the command (../models), or in share/tercel of the prefix that
// the command is installed in. Throws Errc::not_found.
std::filesystem::path find_model(const std::string& given);

// For --explain: to standard error, what ran where and why.
void explain(const Session& session);

// To standard error, a line each.
void warn(const std::vector<std::string>& warnings);

// "sequence=128", given once for each dimension, by name. Throws Errc::invalid_argument.
std::map<std::string, int64_t> parse_dimensions(const std::vector<std::string>& given);

// "2 x 128", "batch x sequence", "scalar", "any shape".
std::string shape_text(const TensorInfo& info);

}  // namespace tercel::cli
