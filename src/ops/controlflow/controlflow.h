#pragma once
// Control flow (ONNX's controlflow family): If, Loop, Scan.

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef if_op;
extern const OpDef loop;
extern const OpDef scan;

}  // namespace tercel::ops
