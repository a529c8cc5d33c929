#include "src/ops/logical/logical.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family logical_ops() {
  static constexpr const OpDef* kOps[] = {&op_and,    &op_equal,  &op_greater, &op_greater_or_equal,
                                          &op_is_inf, &op_is_nan, &op_less,    &op_less_or_equal,
                                          &op_not,    &op_or,     &op_xor};
  return kOps;
}

}  // namespace tercel::ops
