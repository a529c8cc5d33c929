#pragma once
// Following the contents of small integer tensors through operators that move elements.

#include "src/ops/infer.h"

namespace tercel::ops {

// Contents are followed for these element types.
bool holds_contents(Dtype dtype);

// Gives output 0 the type of input 0's elements and `dims`. Its elements are those of input 0, in
// their order: it takes over their contents when its rank is 0 or 1.
void set_same_elements(InferContext& context, ir::Dims dims);

// The dimensions that the contents of input `index`, a shape, name. When only the length of that
// shape is known they are unknown; nothing when not even that is. Rejects negative ones.
std::optional<ir::Dims> dims_from(const InferContext& context, int index);

// The number of elements of input `index`, a vector; nothing when unknown or more than
// kMaxContents.
std::optional<int64_t> length_of(const InferContext& context, int index);

// The contents of input `index`, or as many unknown elements as it has; nothing when their number
// is unknown. Of inputs of rank 0 and 1 only.
std::optional<Contents> elements_of(const InferContext& context, int index);

// A rank that counts as a mistake in a file rather than a tensor.
inline constexpr int64_t kMaxRank = 64;

// Axes counted from the front; rejects what is out of range and what comes twice.
std::vector<int> checked_axes(const InferContext& context, const std::vector<int64_t>& axes,
                              int rank);

// What both say: rejects two different numbers, prefers a number, then a symbol.
ir::Dim same_dim(const InferContext& context, const ir::Dim& a, const ir::Dim& b,
                 std::string_view what);

}  // namespace tercel::ops
