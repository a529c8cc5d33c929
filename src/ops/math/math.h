#pragma once
// Arithmetic (ONNX's math family): elementwise, MatMul, Gemm, …

#include "src/ops/op_def.h"

namespace tercel::ops {}  // namespace tercel::ops
