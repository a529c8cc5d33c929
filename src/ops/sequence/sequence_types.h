#pragma once
// Types of sequences and of what is in them.

#include "src/ops/infer.h"

namespace tercel::ops {

ir::Type sequence_of(ir::Type element);

// What the sequence or optional value of an input holds; an unknown type when that is not known.
ir::Type element_of(const InferContext& context, int index);

}  // namespace tercel::ops
