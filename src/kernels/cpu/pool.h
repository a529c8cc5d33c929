#pragma once
// Pooling of images of f32 or bytes that lie channels last: [batch, spatial…, channels]. Each
// output is one chain over its window, ascending; a NaN in the window is the maximum.

#include "src/kernels/cpu/conv.h"

namespace tercel::kernels {

struct PoolArgs {
  int64_t batch = 0, channels = 0;
  ConvAxis axes[3];          // the innermost is last; nothing is inflated
  int64_t end_pads[3] = {};  // behind the axes
  bool with_pads = false;    // an average counts what falls into the padding
  const float* x = nullptr;
  float* y = nullptr;
  // Instead of x and y, for maxima: int8_t when `is_signed`, else uint8_t.
  const void* x_bytes = nullptr;
  void* y_bytes = nullptr;
  bool is_signed = false;
};

struct PoolKernels {
  void (*max)(const PoolArgs& args, ThreadPool& pool);
  void (*max_bytes)(const PoolArgs& args, ThreadPool& pool);
  void (*average)(const PoolArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
