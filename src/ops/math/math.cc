#include "src/ops/math/math.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family math_ops() {
  static constexpr const OpDef* kOps[] = {&op_abs,        &op_acos,        &op_acosh,
                                          &op_asin,       &op_asinh,       &op_atan,
                                          &op_atanh,      &op_bitwise_not, &op_ceil,
                                          &op_celu,       &op_cos,         &op_cosh,
                                          &op_elu,        &op_erf,         &op_exp,
                                          &op_floor,      &op_gelu,        &op_hard_sigmoid,
                                          &op_hard_swish, &op_leaky_relu,  &op_log,
                                          &op_mish,       &op_neg,         &op_reciprocal,
                                          &op_relu,       &op_round,       &op_selu,
                                          &op_shrink,     &op_sigmoid,     &op_sign,
                                          &op_sin,        &op_sinh,        &op_softplus,
                                          &op_softsign,   &op_sqrt,        &op_swish,
                                          &op_tan,        &op_tanh,        &op_thresholded_relu,
                                          &op_add,        &op_bit_shift,   &op_bitwise_and,
                                          &op_bitwise_or, &op_bitwise_xor, &op_div,
                                          &op_mod,        &op_mul,         &op_pow,
                                          &op_prelu,      &op_sub,         &op_max,
                                          &op_mean,       &op_min,         &op_sum,
                                          &op_clip,       &op_cum_prod,    &op_cum_sum,
                                          &op_det,        &op_einsum,      &op_gemm,
                                          &op_matmul,     &op_swi_glu,     &op_top_k};
  return kOps;
}

}  // namespace tercel::ops
