#pragma once
// Public descriptions of a graph's inputs and outputs.

#include <vector>

#include "src/ir/graph.h"
#include "tercel/session.h"

namespace tercel {

TensorInfo describe(const ir::Value& value);
std::vector<TensorInfo> describe(std::span<ir::Value* const> values);

// The input is of an optional type: it may be given as an undefined tensor, or not at all.
bool may_be_missing(const ir::Value& input);

// Throws Errc::invalid_argument, naming the input, unless `tensor` has the type that the input is
// declared with.
void check_input(const ir::Value& input, const Tensor& tensor);

// Throws Errc::invalid_argument when two inputs give one symbolic dimension different sizes.
void check_symbols(std::span<ir::Value* const> inputs, const std::vector<Tensor>& tensors);

// "input_ids, attention_mask": for messages.
std::string names_of(std::span<ir::Value* const> values);

}  // namespace tercel
