#pragma once
// The activations that products end with, in f32.

#include "src/kernels/cuda/gemm.h"

namespace tercel::kernels::cuda {

__device__ __forceinline__ float gelu_erf(float x) {
  return 0.5F * x * (1.0F + erff(x * 0.70710678118654752F));
}

// Approximations within 2 ulp; subnormal numbers are zeros.
__device__ __forceinline__ float inverse_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ __forceinline__ float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// For 16-bit results: x times the normal distribution as 1 / (1 + 2^u), u an odd polynomial of x:
// within 1.4e-5, and within 1.7e-4 of its size for |x| < 3; 10 instructions.
__device__ __forceinline__ float gelu_fast(float x) {
  const float square = x * x;
  float sum = fmaf(-2.2157988e-06F, square, 6.2950708e-05F);
  sum = fmaf(sum, square, 5.58366847e-04F);
  sum = fmaf(sum, square, -1.05772619e-01F);
  sum = fmaf(sum, square, -2.30164892F);
  return x * inverse_fast(1.0F + exp2_fast(x * sum));
}

__device__ __forceinline__ float gelu_by_tanh(float x) {
  return 0.5F * x * (1.0F + tanhf(0.79788456080286536F * (x + 0.044715F * x * x * x)));
}

__device__ __forceinline__ float sigmoid(float x) { return 1.0F / (1.0F + expf(-x)); }

__device__ __forceinline__ float activate(Activation activation, float x) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return x < 0.0F ? 0.0F : x;
    case Activation::gelu:
      return gelu_erf(x);
    case Activation::gelu_tanh:
      return gelu_by_tanh(x);
    case Activation::silu:
      return x * sigmoid(x);
    case Activation::tanh:
      return tanhf(x);
    case Activation::sigmoid:
      return sigmoid(x);
  }
  return x;
}

}  // namespace tercel::kernels::cuda
