#pragma once
// The activations that products end with, in f32.

#include "src/kernels/cuda/gemm.h"

namespace tercel::kernels::cuda {

__device__ __forceinline__ float gelu_erf(float x) {
  return 0.5F * x * (1.0F + erff(x * 0.70710678118654752F));
}

// For 16-bit results: erf within 1.5e-7 (Abramowitz and Stegun, 7.1.26), a third of erff's cost.
__device__ __forceinline__ float gelu_fast(float x) {
  const float size = fabsf(x) * 0.70710678118654752F;
  const float t = __fdividef(1.0F, fmaf(0.3275911F, size, 1.0F));
  float sum = fmaf(1.061405429F, t, -1.453152027F);
  sum = fmaf(sum, t, 1.421413741F);
  sum = fmaf(sum, t, -0.284496736F);
  sum = fmaf(sum, t, 0.254829592F);
  const float rest = sum * t * __expf(-size * size);  // 1 - erf(size)
  return 0.5F * x * (x < 0.0F ? rest : 2.0F - rest);
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
