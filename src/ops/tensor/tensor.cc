#include "src/ops/tensor/tensor.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family tensor_ops() {
  static constexpr const OpDef* kOps[] = {&cast,
                                          &cast_like,
                                          &compress,
                                          &concat,
                                          &depth_to_space,
                                          &expand,
                                          &flatten,
                                          &gather,
                                          &gather_elements,
                                          &gather_nd,
                                          &identity,
                                          &non_zero,
                                          &one_hot,
                                          &pad,
                                          &reshape,
                                          &scatter_elements,
                                          &scatter_nd,
                                          &shape,
                                          &size,
                                          &slice,
                                          &space_to_depth,
                                          &split,
                                          &squeeze,
                                          &tile,
                                          &transpose,
                                          &trilu,
                                          &unsqueeze,
                                          &where};
  return kOps;
}

}  // namespace tercel::ops
