#include "src/ops/nn/nn.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family nn_ops() {
  static constexpr const OpDef* kOps[] = {&attention,
                                          &average_pool,
                                          &batch_normalization,
                                          &causal_conv_with_state,
                                          &col2im,
                                          &conv,
                                          &conv_transpose,
                                          &deform_conv,
                                          &dropout,
                                          &global_average_pool,
                                          &global_lp_pool,
                                          &global_max_pool,
                                          &group_normalization,
                                          &hardmax,
                                          &instance_normalization,
                                          &layer_normalization,
                                          &linear_attention,
                                          &log_softmax,
                                          &lp_normalization,
                                          &lp_pool,
                                          &lrn,
                                          &max_pool,
                                          &max_unpool,
                                          &mean_variance_normalization,
                                          &negative_log_likelihood_loss,
                                          &packed_attention,
                                          &packed_rows,
                                          &rms_normalization,
                                          &rotary_embedding,
                                          &softmax,
                                          &softmax_cross_entropy_loss,
                                          &unpacked_rows};
  return kOps;
}

}  // namespace tercel::ops
