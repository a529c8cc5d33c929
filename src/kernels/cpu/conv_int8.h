#pragma once
// Convolution of 8-bit integers with sums in 32 bits, as the product of windows by a packed weight
// (gemm_int8.h); or depthwise, of images of bytes alone: one channel of several goes into each, and
// one comes out. Images lie channels last, and come as bytes with one zero point, or in f32: then
// they are quantised on the way in, each item of the batch to a scale and a zero point of its own,
// as gemm_int8.h does it with a row. The padding is the zero point. Sums are exact, so bits depend
// neither on the batch nor on threads.

#include <cstddef>
#include <cstdint>

#include "src/kernels/cpu/conv_packed.h"
#include "src/kernels/cpu/gemm_int8.h"
#include "src/kernels/cpu/quantize.h"

namespace tercel::kernels {

// What sums become: bytes of (sum + bias) · scale, as requantize (quantize.h) makes them; where
// there is a residual, the bytes of both, as add makes them.
struct Int8ConvBytes {
  void* y = nullptr;  // [batch, spatial…, out channels]; null: none of this
  ByteType type;
  bool relu = false;              // nothing below the zero point
  const int32_t* bias = nullptr;  // [out_channels], or absent
  const float* scales = nullptr;  // [out_channels]
  ByteAddend residual;            // as y, or without bytes; it may not overlap y
  float own_scale = 1;            // of what the residual is added to, over that of the sum
  ByteType sum_type;
  bool sum_relu = false;
};

// Images in f32 give f32, y = last(activation(scale · (X - zero) · (W - zero) + bias) + residual);
// images of bytes give the sums, with the zero points taken off, or bytes.
struct Int8ConvArgs {
  // One group, or depthwise; `method`, `planar`, `w` and `workspace` are not read.
  PackedConvArgs conv;
  const void* x_bytes = nullptr;  // instead of conv.x: [batch, spatial…, channels]
  ByteType x_type;
  const void* packed = nullptr;  // by ConvInt8Kernels::pack
  int32_t* sums = nullptr;       // for x_bytes: [batch, spatial…, out_channels]
  Int8ConvBytes bytes;           // for x_bytes, instead of `sums`
  void* workspace = nullptr;     // workspace() bytes, 64-byte aligned
};

struct ConvInt8Kernels {
  // Of a weight for these channels, taps, strides and dilations; in and out are not read.
  std::size_t (*packed_bytes)(const PackedConvArgs& sizes);
  // From B[(tap, channel), output channel].
  void (*pack)(const PackedConvArgs& sizes, const PackInt8Args& weight, ThreadPool& pool);
  // For images of f32 or `of_bytes`; `threads` is the size of the pool that will run it.
  std::size_t (*workspace)(const PackedConvArgs& sizes, bool of_bytes, int threads);
  void (*conv)(const Int8ConvArgs& args, ThreadPool& pool);
  // Bytes, [batch, rows, columns] to [batch, columns, rows].
  void (*transpose)(const void* from, int64_t batch, int64_t rows, int64_t columns, void* to,
                    ThreadPool& pool);
};

}  // namespace tercel::kernels
