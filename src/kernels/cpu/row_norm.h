#pragma once
// The parameters of layer and RMS normalisation, of which a product's epilogue may end in one.

namespace tercel::kernels {

struct RowNorm {
  const float* scale = nullptr;  // a column each; absent: 1
  const float* bias = nullptr;   // a column each; absent: 0
  float epsilon = 1e-5F;
};

}  // namespace tercel::kernels
