#pragma once
// Maxima and averages of windows over images.

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

constexpr int kPoolAxes = 3;  // those that an image lacks come first, with one element

// Tap t of output o sees input o * stride - begin + t * dilation, where there is one.
struct PoolAxis {
  int64_t in = 1, out = 1, taps = 1, stride = 1, dilation = 1, begin = 0, end = 0;
};

// f32, f16, bf16. An average is of the taps inside the image or, with `with_pads`, inside its
// padding. A maximum is NaN when any element is, and -inf of no element.
struct PoolArgs {
  Dtype type = Dtype::f32;
  bool max = true;
  bool with_pads = false;
  bool channels_last = false;  // [batch, in…, channels], else [batch, channels, in…]; y likewise
  int64_t batch = 0, channels = 0;
  PoolAxis axes[kPoolAxes];
  const void* x = nullptr;
  void* y = nullptr;
};
void pool(const PoolArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
