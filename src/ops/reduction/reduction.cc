#include "src/ops/reduction/reduction.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family reduction_ops() {
  static constexpr const OpDef* kOps[] = {
      &arg_max,    &arg_min,     &reduce_l1,  &reduce_l2,   &reduce_log_sum, &reduce_log_sum_exp,
      &reduce_max, &reduce_mean, &reduce_min, &reduce_prod, &reduce_sum,     &reduce_sum_square};
  return kOps;
}

}  // namespace tercel::ops
