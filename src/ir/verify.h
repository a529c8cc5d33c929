#pragma once
// The invariants of a graph, checked after reading and after every pass.

#include "src/ir/model.h"

namespace tercel::ir {

// Throws Errc::invalid_file (or `code`) naming the graph, node and value: every used value is an
// input, an initializer, an earlier node's output, or a value of a surrounding graph; uses and
// producers agree; names are unique; opsets are imported for every domain used; function bodies use
// only their own values; no recursion among functions.
void verify(const Model& model, Errc code = Errc::invalid_file);

}  // namespace tercel::ir
