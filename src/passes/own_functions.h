#pragma once
// Model-local functions that passes put into models.

#include "src/ir/model.h"

namespace tercel::passes {

inline constexpr const char* kOwnDomain = "tercel";

// Adds the functions of `text`, in ONNX's textual syntax, that the model does not have, and imports
// their domain. `name` says in messages which text it is.
void add_functions(ir::Model& model, const char* text, const char* name);

}  // namespace tercel::passes
