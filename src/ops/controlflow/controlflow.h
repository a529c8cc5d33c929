#pragma once
// Control flow (ONNX's controlflow family): If, Loop, Scan.

#include "src/ops/op_def.h"

namespace tercel::ops {}  // namespace tercel::ops
