#pragma once
// Element by element. The result of a floating-point operation is computed in f32 (f64 for f64) and
// rounded to the type once. In and out may be the same array where their element sizes are equal.
//
// "Numeric" types: bool, u8 … u64, i8 … i64, f16, bf16, f32, f64. Division of an integer by zero
// gives 0, as on the CPU.

#include "src/kernels/cuda/gemm.h"
#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

enum class UnaryOp {
  // f32, f16, bf16, f64 and integers
  abs,
  neg,
  sign,
  relu,
  // f32, f16, bf16, f64
  floor,
  ceil,
  round,
  sqrt,
  reciprocal,
  exp,
  log,
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  asinh,
  acosh,
  atanh,
  erf,
  tanh,
  sigmoid,
  softplus,
  softsign,
  mish,
  hard_swish,
  gelu,              // 0.5 x (1 + erf(x / sqrt 2))
  gelu_tanh,         // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  swish,             // x sigmoid(alpha x)
  leaky_relu,        // x < 0: alpha x
  elu,               // x < 0: alpha (exp(x) - 1)
  celu,              // x < 0: alpha (exp(x / alpha) - 1)
  selu,              // beta (x > 0 ? x : alpha (exp(x) - 1))
  hard_sigmoid,      // min(1, max(0, alpha x + beta))
  shrink,            // x < -alpha: x + beta; x > alpha: x - beta; else 0
  thresholded_relu,  // x > alpha: x, else 0
  // bool and integers
  bitwise_not,
  logical_not,
  // to bool, of f32, f16, bf16, f64
  is_nan,
  is_inf,  // alpha != 0: negative ones count, beta != 0: positive ones
};

struct UnaryArgs {
  UnaryOp op = UnaryOp::abs;
  Dtype type = Dtype::f32;
  int64_t count = 0;
  const void* x = nullptr;
  void* y = nullptr;
  float alpha = 0.0F, beta = 0.0F;
};
void unary(const UnaryArgs& args, cudaStream_t stream);

// y = min(high, max(low, x)) of numeric types but bool; NaN stays. Bounds are elements on the
// device, null for none.
struct ClipArgs {
  Dtype type = Dtype::f32;
  int64_t count = 0;
  const void* x = nullptr;
  const void* low = nullptr;
  const void* high = nullptr;
  void* y = nullptr;
};
void clip(const ClipArgs& args, cudaStream_t stream);

enum class BinaryOp {
  // numeric types but bool
  add,
  sub,
  mul,
  div,
  pow,
  min,
  max,
  mod,    // the sign of b
  fmod,   // the sign of a
  prelu,  // a < 0: a b
  // integers
  bit_and,
  bit_or,
  bit_xor,
  shift_left,
  shift_right,
  // to bool, of numeric types (equal: bool as well)
  equal,
  greater,
  greater_equal,
  less,
  less_equal,
  // bool
  logical_and,
  logical_or,
  logical_xor,
};

// out = op(a, b) over `dims`; out is contiguous, a and b are read by their strides (0 broadcasts).
// min and max give NaN when either side is NaN.
struct BinaryArgs {
  BinaryOp op = BinaryOp::add;
  Dtype type = Dtype::f32;  // of a and b
  Extents dims, a_strides, b_strides;
  const void* a = nullptr;
  const void* b = nullptr;
  void* out = nullptr;
};
void binary(const BinaryArgs& args, cudaStream_t stream);

// out = condition ? a : b, of any type of 1, 2, 4, 8 or 16 bytes.
struct WhereArgs {
  int element_bytes = 4;
  Extents dims, condition_strides, a_strides, b_strides;
  const uint8_t* condition = nullptr;
  const void* a = nullptr;
  const void* b = nullptr;
  void* out = nullptr;
};
void where(const WhereArgs& args, cudaStream_t stream);

// Between numeric types and f8e4m3fn, f8e5m2 (`saturate`: beyond the range gives the largest value;
// else infinity or NaN). From floating-point to an integer: truncated, saturated, NaN gives 0.
// To bool: != 0. To f16 and bf16 a number beyond the range gives infinity, or with `finite` the
// largest finite number (infinity stays). The arrays may not overlap.
struct CastArgs {
  int64_t count = 0;
  const void* from = nullptr;
  Dtype from_type = Dtype::f32;
  void* to = nullptr;
  Dtype to_type = Dtype::f32;
  bool saturate = true;
  bool finite = false;
};
void cast(const CastArgs& args, cudaStream_t stream);

// y = last(activation(x + bias) + residual) over [rows, columns], f32, f16, bf16: GemmEpilogue on
// its own. x and y may be the same.
struct BiasActivationArgs {
  Dtype type = Dtype::f32;
  int64_t rows = 0, columns = 0;
  const void* x = nullptr;
  int64_t x_row = 0;
  void* y = nullptr;
  int64_t y_row = 0;
  GemmEpilogue epilogue = {};
};
void bias_activation(const BiasActivationArgs& args, cudaStream_t stream);

// y = silu(gate) * up over [rows, columns], or gelu, … : gated feed-forward layers.
struct GatedArgs {
  Dtype type = Dtype::f32;
  Activation activation = Activation::silu;
  int64_t rows = 0, columns = 0;
  const void* gate = nullptr;
  int64_t gate_row = 0;
  const void* up = nullptr;
  int64_t up_row = 0;
  void* y = nullptr;  // contiguous
};
void gated_activation(const GatedArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
