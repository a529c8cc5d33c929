#pragma once
// Element by element over contiguous f32. In and out may be the same array.
//
// Errors against the exact result, over the whole range of f32 including subnormal results:
// exp, log, erf, tanh, softplus within 2 ulp and sigmoid within 3 (the tests measure it); sqrt,
// reciprocal, add, sub, mul, div, floor, ceil, round are correctly rounded; pow, sin, cos are
// libm's. gelu is within 2.5e-7 |x|. gelu_tanh and silu are composed from these as ONNX writes
// them, so that their error is relative to |x| too, not to the result, where x is negative. NaN
// stays NaN; infinities give their limits.

#include <cstdint>

namespace tercel {
class ThreadPool;
}

namespace tercel::kernels {

enum class UnaryOp {
  abs,
  neg,
  sign,
  floor,
  ceil,
  round,  // half to even
  sqrt,
  reciprocal,
  exp,
  log,
  sin,
  cos,
  erf,
  tanh,
  sigmoid,
  softplus,
  relu,
  gelu,          // 0.5 x (1 + erf(x / sqrt 2))
  gelu_tanh,     // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
  silu,          // x sigmoid(x)
  leaky_relu,    // x < 0: alpha x
  elu,           // x < 0: alpha (exp(x) - 1)
  hard_sigmoid,  // min(1, max(0, alpha x + beta))
  clip,          // min(beta, max(alpha, x))
};

struct UnaryArgs {
  UnaryOp op = UnaryOp::abs;
  int64_t count = 0;
  const float* x = nullptr;
  float* y = nullptr;
  float alpha = 0.0F, beta = 0.0F;
};

enum class BinaryOp { add, sub, mul, div, pow, min, max };

// out[r, c] = op(a, b) over [rows, columns]. Each operand is read at r * row + c * column:
// contiguous {columns, 1}, one row for all {0, 1}, one value a row {1, 0}, a scalar {0, 0}. The
// column stride is 0 or 1. min and max give NaN when either side is NaN.
struct BinaryArgs {
  BinaryOp op = BinaryOp::add;
  int64_t rows = 0, columns = 0;
  const float* a = nullptr;
  int64_t a_row = 0, a_column = 1;
  const float* b = nullptr;
  int64_t b_row = 0, b_column = 1;
  float* out = nullptr;  // contiguous
};

struct ElementwiseKernels {
  void (*unary)(const UnaryArgs& args, ThreadPool& pool);
  void (*binary)(const BinaryArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
