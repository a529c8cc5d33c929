#pragma once
// Operators that move elements (ONNX's tensor family): Reshape, Gather, Slice, …

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef bit_cast;
extern const OpDef cast;
extern const OpDef cast_like;
extern const OpDef center_crop_pad;
extern const OpDef compress;
extern const OpDef concat;
extern const OpDef depth_to_space;
extern const OpDef expand;
extern const OpDef flatten;
extern const OpDef gather;
extern const OpDef gather_elements;
extern const OpDef gather_nd;
extern const OpDef identity;
extern const OpDef non_zero;
extern const OpDef one_hot;
extern const OpDef pad;
extern const OpDef reshape;
extern const OpDef reverse_sequence;
extern const OpDef scatter_elements;
extern const OpDef scatter_nd;
extern const OpDef shape;
extern const OpDef size;
extern const OpDef slice;
extern const OpDef space_to_depth;
extern const OpDef split;
extern const OpDef squeeze;
extern const OpDef tensor_scatter;
extern const OpDef tile;
extern const OpDef transpose;
extern const OpDef trilu;
extern const OpDef unique;
extern const OpDef unsqueeze;
extern const OpDef where;

}  // namespace tercel::ops
