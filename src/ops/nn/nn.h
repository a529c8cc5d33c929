#pragma once
// Neural-network operators (ONNX's nn family, with Softmax and the normalisations).

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef softmax;

}  // namespace tercel::ops
