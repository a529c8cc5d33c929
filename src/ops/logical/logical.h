#pragma once
// Comparisons and boolean logic (ONNX's logical family).

#include "src/ops/op_def.h"

namespace tercel::ops {}  // namespace tercel::ops
