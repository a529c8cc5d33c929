#pragma once
// Reductions (ONNX's reduction family).

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef arg_max;
extern const OpDef arg_min;
extern const OpDef reduce_l1;
extern const OpDef reduce_l2;
extern const OpDef reduce_log_sum;
extern const OpDef reduce_log_sum_exp;
extern const OpDef reduce_max;
extern const OpDef reduce_mean;
extern const OpDef reduce_min;
extern const OpDef reduce_prod;
extern const OpDef reduce_sum;
extern const OpDef reduce_sum_square;

}  // namespace tercel::ops
