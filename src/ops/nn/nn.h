#pragma once
// Neural-network operators (ONNX's nn family, with Softmax and the normalisations).

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef attention;
extern const OpDef batch_normalization;
extern const OpDef dropout;
extern const OpDef global_average_pool;
extern const OpDef global_max_pool;
extern const OpDef group_normalization;
extern const OpDef hardmax;
extern const OpDef instance_normalization;
extern const OpDef layer_normalization;
extern const OpDef log_softmax;
extern const OpDef lp_normalization;
extern const OpDef rms_normalization;
extern const OpDef rotary_embedding;
extern const OpDef softmax;

}  // namespace tercel::ops
