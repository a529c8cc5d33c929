#pragma once
// Inputs for a model that nobody gave any for.

#include <vector>

#include "src/ir/graph.h"
#include "tercel/session.h"

namespace tercel {

// A few batches, the same at every call: rows of tables where integers look up in one, ones where
// they do not (masks), normally distributed numbers; open dimensions have 2 elements where they
// come first and `length` elsewhere. Empty when an input is of a type that none can be made up for.
std::vector<NamedTensors> make_samples(std::span<ir::Value* const> inputs, int64_t length);

}  // namespace tercel
