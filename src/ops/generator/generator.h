#pragma once
// Operators that make tensors from shapes (ONNX's generator family): Constant, Range, …

#include "src/ops/op_def.h"

namespace tercel::ops {}  // namespace tercel::ops
