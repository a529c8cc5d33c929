#pragma once
// Arithmetic on followed contents (src/ops/infer.h), so that chains of shape arithmetic keep their
// symbols.

#include "src/ops/infer.h"

namespace tercel::ops {

// One element from two; Known() when nothing can be said.
using KnownFunction = Known (*)(const Known& a, const Known& b);

Known known_add(const Known& a, const Known& b);
Known known_sub(const Known& a, const Known& b);
Known known_mul(const Known& a, const Known& b);
Known known_div(const Known& a, const Known& b);  // truncating, as ONNX's Div of integers
Known known_min(const Known& a, const Known& b);
Known known_max(const Known& a, const Known& b);

// Sets the contents of output 0 from those of inputs 0 and 1, broadcast, when both are followed and
// have elements that `function` is right for.
void follow_binary(InferContext& context, KnownFunction function);
// From those of input 0.
void follow_unary(InferContext& context, Known (*function)(const Known& x));

// The element type's arithmetic stays within what Known computes: i32 and i64.
bool followed_dtype(Dtype dtype);

}  // namespace tercel::ops
