#pragma once
// Operators that move elements (ONNX's tensor family): Reshape, Gather, Slice, …

#include "src/ops/op_def.h"

namespace tercel::ops {}  // namespace tercel::ops
