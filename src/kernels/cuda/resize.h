#pragma once
// Images of another size: nearest elements, or linear interpolation.

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// Output o stands at (o + shift) * times / over + offset of the input, in f64.
struct ResizeAxis {
  int64_t in = 1, out = 1;
  bool resized = false;  // otherwise output o is input o
  double shift = 0, times = 1, over = 1, offset = 0;
};

enum class NearestMode { round_prefer_floor, round_prefer_ceil, floor, ceil };

// f32, f16, bf16. What lies outside of the input is its nearest element. The arrays are contiguous.
struct ResizeArgs {
  Dtype type = Dtype::f32;
  bool linear = false;
  NearestMode nearest = NearestMode::round_prefer_floor;
  int rank = 0;
  ResizeAxis axes[kMaxRank];
  const void* x = nullptr;
  void* y = nullptr;
};
void resize(const ResizeArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
