#pragma once
// Comparisons and boolean logic (ONNX's logical family). The names begin with op_: and, or, not are
// words of C++.

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef op_and;
extern const OpDef op_equal;
extern const OpDef op_greater;
extern const OpDef op_greater_or_equal;
extern const OpDef op_is_inf;
extern const OpDef op_is_nan;
extern const OpDef op_less;
extern const OpDef op_less_or_equal;
extern const OpDef op_not;
extern const OpDef op_or;
extern const OpDef op_xor;

}  // namespace tercel::ops
