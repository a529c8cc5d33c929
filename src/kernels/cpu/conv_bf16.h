#pragma once
// Convolution of f32 images that lie channels last, as a product of bf16 factors with f32 sums, for
// processors that multiply bf16 (AVX512_BF16, AMX): windows are rounded to bf16 (nearest even) as
// they are copied for a tile, the weight when it is packed. The order of a sum is gemm_bf16.h's,
// over ascending (tap, channel); bits depend on the layer's sizes alone, not on the batch or on
// threads. Without AMX windows of 3 x 3 are multiplied by Winograd's method (conv_packed.h), whose
// transforms are f32 and whose factors are rounded.

#include "src/kernels/cpu/conv_packed.h"

namespace tercel::kernels {

struct ConvBf16Kernels {
  // Whether it can: one group, an even number of channels come in.
  bool (*takes)(const PackedConvArgs& sizes);
  std::size_t (*packed_bytes)(const PackedConvArgs& sizes);
  // From [out_channels, in_channels, taps…], 64-byte aligned.
  void (*pack)(const PackedConvArgs& sizes, const float* w, void* out, ThreadPool& pool);
  // `threads` is the size of the pool that will run it.
  std::size_t (*workspace)(const PackedConvArgs& sizes, int threads);
  // args.method and args.w are not read.
  void (*conv)(const PackedConvArgs& args, const void* packed, ThreadPool& pool);
};

}  // namespace tercel::kernels
