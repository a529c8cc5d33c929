#include "src/ops/tensor/tensor.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family tensor_ops() {
  static constexpr const OpDef* kOps[] = {&bit_cast,
                                          &cast,
                                          &cast_like,
                                          &center_crop_pad,
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
                                          &reverse_sequence,
                                          &scatter_elements,
                                          &scatter_nd,
                                          &shape,
                                          &size,
                                          &slice,
                                          &space_to_depth,
                                          &split,
                                          &squeeze,
                                          &tensor_scatter,
                                          &tile,
                                          &transpose,
                                          &trilu,
                                          &unique,
                                          &unsqueeze,
                                          &where};
  return kOps;
}

}  // namespace tercel::ops
