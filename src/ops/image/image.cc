#include "src/ops/image/image.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family image_ops() {
  static constexpr const OpDef* kOps[] = {&affine_grid,         &grid_sample, &max_roi_pool,
                                          &non_max_suppression, &resize,      &roi_align};
  return kOps;
}

}  // namespace tercel::ops
