#pragma once
// For files that other runtimes are to run. Not one of the optimising passes: it costs time.

#include "src/ir/model.h"

namespace tercel::passes {

// ONNX lets an Attention's mask broadcast over the queries; ONNX Runtime wants a row
// for each query. Puts an Expand before the masks that have one row for all. True when something
// changed.
bool expand_masks(ir::Model& model);

}  // namespace tercel::passes
