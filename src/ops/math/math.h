#pragma once
// Arithmetic (ONNX's math family). The names begin with op_: many operators are called like
// functions of C++ or of src/ops/infer.h.

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef op_abs;
extern const OpDef op_acos;
extern const OpDef op_acosh;
extern const OpDef op_asin;
extern const OpDef op_asinh;
extern const OpDef op_atan;
extern const OpDef op_atanh;
extern const OpDef op_bitwise_not;
extern const OpDef op_ceil;
extern const OpDef op_celu;
extern const OpDef op_cos;
extern const OpDef op_cosh;
extern const OpDef op_elu;
extern const OpDef op_erf;
extern const OpDef op_exp;
extern const OpDef op_floor;
extern const OpDef op_gelu;
extern const OpDef op_hard_sigmoid;
extern const OpDef op_hard_swish;
extern const OpDef op_leaky_relu;
extern const OpDef op_log;
extern const OpDef op_mish;
extern const OpDef op_neg;
extern const OpDef op_reciprocal;
extern const OpDef op_relu;
extern const OpDef op_round;
extern const OpDef op_selu;
extern const OpDef op_shrink;
extern const OpDef op_sigmoid;
extern const OpDef op_sign;
extern const OpDef op_sin;
extern const OpDef op_sinh;
extern const OpDef op_softplus;
extern const OpDef op_softsign;
extern const OpDef op_sqrt;
extern const OpDef op_swish;
extern const OpDef op_tan;
extern const OpDef op_tanh;
extern const OpDef op_thresholded_relu;

extern const OpDef op_add;
extern const OpDef op_bit_shift;
extern const OpDef op_bitwise_and;
extern const OpDef op_bitwise_or;
extern const OpDef op_bitwise_xor;
extern const OpDef op_div;
extern const OpDef op_mod;
extern const OpDef op_mul;
extern const OpDef op_pow;
extern const OpDef op_prelu;
extern const OpDef op_sub;

extern const OpDef op_max;
extern const OpDef op_mean;
extern const OpDef op_min;
extern const OpDef op_sum;

extern const OpDef op_clip;
extern const OpDef op_cum_prod;
extern const OpDef op_cum_sum;
extern const OpDef op_det;
extern const OpDef op_einsum;
extern const OpDef op_gemm;
extern const OpDef op_matmul;
extern const OpDef op_swi_glu;
extern const OpDef op_top_k;

}  // namespace tercel::ops
