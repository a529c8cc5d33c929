#pragma once
// Convolution in f32 with a constant weight that is packed once, on images that lie channels last:
// [batch, spatial…, channels]. Three methods:
//
// product    Rows of windows are copied into a small block and multiplied by the weight's panels,
//            as gemm.h does. One chain c = fma(x, w, c) over ascending (tap, channel); when
//            `planar`, over ascending (channel, tap).
// depthwise  One channel a group, one output channel each: a chain over ascending taps, without
//            those that fall into the padding.
// winograd   3 x 3 windows with strides of 1, F(2x2, 3x3) or F(4x4, 3x3): Lavin and Gray, "Fast
//            Algorithms for Convolutional Neural Networks", 2015. 4/9 or 1/4 of the
//            multiplications. The greatest error, relative to the greatest output, for 256
//            channels: 1.5e-6 for the plain chain, 0.5e-6 for F(2x2), 3.5e-6 for F(4x4), whose
//            points are 0, ±√½, ±√2, ∞.
//
// Bits depend on the layer's sizes alone, not on the batch or on threads.

#include <cstddef>
#include <cstdint>

#include "src/kernels/cpu/conv.h"

namespace tercel::kernels {

enum class ConvMethod { product, depthwise, winograd2, winograd4 };

// y = last(activation(conv(x) + bias) + residual)
struct PackedConvArgs {
  ConvMethod method = ConvMethod::product;
  int64_t batch = 0, groups = 1;
  int64_t in_channels = 0, out_channels = 0;  // of one group
  ConvAxis axes[3];                           // the innermost is last; nothing is inflated
  bool planar = false;                        // x is [batch, channels, spatial…]; one group
  const float* x = nullptr;
  const float* w = nullptr;     // packed
  const float* bias = nullptr;  // [groups, out_channels] or absent
  Activation activation = Activation::none;
  const float* residual = nullptr;  // as y, or absent; it may not overlap y
  Activation last = Activation::none;
  float* y = nullptr;
  void* workspace = nullptr;  // workspace() bytes, 64-byte aligned
};

struct PackedConvKernels {
  // The method for a layer whose channels, groups and axes are set; an axis of unknown size has
  // in = 0. Also says whether few enough channels come in that they may stay planar.
  ConvMethod (*method)(const PackedConvArgs& sizes);
  bool (*may_be_planar)(const PackedConvArgs& sizes);
  std::size_t (*packed_bytes)(const PackedConvArgs& sizes);
  // From [groups, out_channels, in_channels, taps…].
  void (*pack)(const PackedConvArgs& sizes, const float* w, float* out, ThreadPool& pool);
  // `threads` is the size of the pool that will run it.
  std::size_t (*workspace)(const PackedConvArgs& sizes, int threads);
  void (*conv)(const PackedConvArgs& args, ThreadPool& pool);
  // [batch, rows, columns] to [batch, columns, rows].
  void (*transpose)(const float* from, int64_t batch, int64_t rows, int64_t columns, float* to,
                    ThreadPool& pool);
};

}  // namespace tercel::kernels
