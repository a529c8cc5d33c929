#pragma once
// Type rules that many operators share.

#include "src/ops/infer.h"

namespace tercel::ops {

// Output 0 has the type of input 0.
void infer_same_type(InferContext& context);

// Output 0 has input 0's element type and the broadcast shape of all inputs; element types must
// agree.
void infer_broadcast(InferContext& context);

// As infer_broadcast, but the elements of the output are boolean.
void infer_broadcast_boolean(InferContext& context);

// What is true of values of both types.
ir::Type common_type(const ir::Type& a, const ir::Type& b);

// The type without the dimensions of its tensors.
ir::Type without_shape(ir::Type type);

// What is known of an input; an unknown type when that is nothing.
ir::Type type_or_unknown(const InferContext& context, int index);

// Rejects inputs `a` and `b` whose element types are known and differ.
void require_same_dtype(InferContext& context, int a, int b);

}  // namespace tercel::ops
