#pragma once
// Heads that read the first token of each sequence.

#include "src/ir/model.h"

namespace tercel::passes {

// In a graph of packed rows: operators between the last attention and a head that reads only first
// tokens run on those rows alone. True when something changed.
bool narrow_heads(ir::Model& model);

}  // namespace tercel::passes
