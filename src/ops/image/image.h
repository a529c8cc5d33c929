#pragma once
// Operators on images and regions of them: Resize, GridSample, RoiAlign, NonMaxSuppression, …

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef affine_grid;
extern const OpDef grid_sample;
extern const OpDef max_roi_pool;
extern const OpDef non_max_suppression;
extern const OpDef resize;
extern const OpDef roi_align;

}  // namespace tercel::ops
