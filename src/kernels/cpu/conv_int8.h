#pragma once
// Convolution of 8-bit integers with sums in 32 bits, as the product of windows by a packed weight
// (gemm_int8.h): y = last(activation(scale · (X - zero) · (W - zero) + bias) + residual).
//
// Images in f32 lie channels last and are quantised on the way in, each item of the batch to a
// scale and a zero point of its own, as gemm_int8.h does it with a row. The padding is the zero
// point. Sums are exact, so bits depend neither on the batch nor on threads.

#include <cstddef>
#include <cstdint>

#include "src/kernels/cpu/conv_packed.h"
#include "src/kernels/cpu/gemm_int8.h"

namespace tercel::kernels {

// Images in f32 give y; images of bytes give the sums, with the zero points taken off.
struct Int8ConvArgs {
  // One group; `method`, `planar`, `w` and `workspace` are not read.
  PackedConvArgs conv;
  const void* x_bytes = nullptr;  // instead of conv.x: [batch, channels, spatial…]
  bool x_signed = false;          // int8_t, else uint8_t
  int32_t x_zero = 0;             // of x_bytes
  const void* packed = nullptr;   // B[(tap, channel), output channel], by GemmInt8Kernels::pack_b
  int32_t* sums = nullptr;    // instead of conv.y, for x_bytes: [batch, spatial…, out_channels]
  void* workspace = nullptr;  // workspace() bytes, 64-byte aligned
};

struct ConvInt8Kernels {
  // `threads` is the size of the pool that will run it.
  std::size_t (*workspace)(const PackedConvArgs& sizes, int threads);
  void (*conv)(const Int8ConvArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
