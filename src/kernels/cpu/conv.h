#pragma once
// Convolution in f32 over one to three spatial dimensions, channels first.
//
// A convolution is the product of the weights [out channels, in channels x taps] and the windows
// [in channels x taps, positions], which are packed tile by tile and never written as a whole.
// Every output is one chain c = fma(w, x, c) over ascending (channel, tap), begun at zero, as
// gemm.h has it; bits depend on the layer's sizes alone. With one input channel a group (depthwise)
// the chain leaves out the taps that fall into the padding.

#include <cstddef>
#include <cstdint>

#include "src/kernels/cpu/gemm.h"

namespace tercel::kernels {

// One spatial dimension. Output o sees the input at (o * stride - pad + tap * dilation) / inflate,
// and zero where that is no whole number or lies outside. `inflate` above 1 makes the transposed
// convolution, whose stride it is.
struct ConvAxis {
  int64_t in = 1, out = 1, taps = 1;
  int64_t stride = 1, dilation = 1, pad = 0, inflate = 1;
};

struct ConvArgs {
  int64_t batch = 0, groups = 1;
  int64_t in_channels = 0, out_channels = 0;  // of one group
  ConvAxis axes[3];                           // the innermost is last
  const float* x = nullptr;                   // [batch, groups, in_channels, in, in, in]
  const float* w = nullptr;                   // [groups, out_channels, in_channels, taps…]
  const float* bias = nullptr;                // [groups, out_channels] or absent
  Activation activation = Activation::none;
  const float* residual = nullptr;  // as y, or absent; it may not overlap y
  float* y = nullptr;               // [batch, groups, out_channels, out, out, out]
  void* workspace = nullptr;        // workspace() bytes, 64-byte aligned
};

struct ConvKernels {
  // `threads` is the size of the pool that will run it.
  std::size_t (*workspace)(int threads);
  void (*conv)(const ConvArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
