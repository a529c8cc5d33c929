#pragma once
// Operators that make tensors from shapes (ONNX's generator family): Constant, Range, …

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef bernoulli;
extern const OpDef constant;
extern const OpDef constant_of_shape;
extern const OpDef eye_like;
extern const OpDef multinomial;
extern const OpDef random_normal;
extern const OpDef random_normal_like;
extern const OpDef random_uniform;
extern const OpDef random_uniform_like;
extern const OpDef range;

// The tensor that a Constant node stands for. Throws Errc::invalid_file when its attributes are not
// one of value, value_int(s), value_float(s), value_string(s).
Tensor constant_value(const ir::Node& node);

// The one element that ConstantOfShape repeats: its attribute "value", or f32 0.
Tensor fill_value(const ir::Node& node);

// ceil((limit - start) / delta), not below 0. Throws Errc::invalid_argument when delta is 0 or the
// count is not a number that fits.
int64_t range_count(int64_t start, int64_t limit, int64_t delta);
int64_t range_count(double start, double limit, double delta);

}  // namespace tercel::ops
