#pragma once
// Neural-network operators: ONNX's nn family, with Softmax and the normalisations; and the
// functions of packed rows that passes put into graphs.

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef attention;
extern const OpDef average_pool;
extern const OpDef batch_normalization;
extern const OpDef causal_conv_with_state;
extern const OpDef col2im;
extern const OpDef conv;
extern const OpDef conv_transpose;
extern const OpDef deform_conv;
extern const OpDef dropout;
extern const OpDef global_average_pool;
extern const OpDef global_lp_pool;
extern const OpDef global_max_pool;
extern const OpDef group_normalization;
extern const OpDef hardmax;
extern const OpDef instance_normalization;
extern const OpDef layer_normalization;
extern const OpDef linear_attention;
extern const OpDef log_softmax;
extern const OpDef lp_normalization;
extern const OpDef lp_pool;
extern const OpDef lrn;
extern const OpDef max_pool;
extern const OpDef max_unpool;
extern const OpDef mean_variance_normalization;
extern const OpDef negative_log_likelihood_loss;
extern const OpDef packed_attention;
extern const OpDef packed_rows;
extern const OpDef rms_normalization;
extern const OpDef rotary_embedding;
extern const OpDef softmax;
extern const OpDef softmax_cross_entropy_loss;
extern const OpDef unpacked_rows;

}  // namespace tercel::ops
