#include "src/ops/nn/nn.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family nn_ops() {
  static constexpr const OpDef* kOps[] = {&attention,
                                          &batch_normalization,
                                          &dropout,
                                          &global_average_pool,
                                          &global_max_pool,
                                          &group_normalization,
                                          &hardmax,
                                          &instance_normalization,
                                          &layer_normalization,
                                          &log_softmax,
                                          &lp_normalization,
                                          &rms_normalization,
                                          &rotary_embedding,
                                          &softmax};
  return kOps;
}

}  // namespace tercel::ops
