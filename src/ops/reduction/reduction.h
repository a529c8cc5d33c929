#pragma once
// Reductions (ONNX's reduction family).

#include "src/ops/op_def.h"

namespace tercel::ops {}  // namespace tercel::ops
