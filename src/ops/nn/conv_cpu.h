#pragma once
// What the CPU implementations of Conv and ConvTranspose share.

#include <optional>
#include <string>

#include "src/kernels/cpu/kernels.h"
#include "src/ops/cpu_util.h"
#include "src/ops/nn/window_cpu.h"

namespace tercel::ops {

// The attributes of a Conv or ConvTranspose, read once.
class ConvSettings {
 public:
  // The weight is the node's input `weight`.
  explicit ConvSettings(const KernelContext& context, int weight = 1);

  bool transposed() const { return transposed_; }
  // Sizes of a Conv, or of the convolution over spread elements that a ConvTranspose is.
  kernels::ConvArgs sizes(const Shape& x, const Shape& w, const Shape& y) const;

 private:
  const ir::Node& node_;
  bool transposed_;
  int64_t groups_;
  std::optional<Window> window_;  // when the kernel's size is known before the run
};

// Pixels of an image.
inline int64_t area_of(const Shape& shape) {
  return product(shape, 2, static_cast<int>(shape.size()));
}
// Whether channels first and last are two layouts: not with one channel, or one pixel.
inline bool layouts_differ(const Shape& shape) { return shape[1] > 1 && area_of(shape) > 1; }

// Of a Conv with a packed weight; `method` and `planar` are not set.
kernels::PackedConvArgs packed_sizes(const ConvSettings& settings, const Shape& x, const Shape& w,
                                     const Shape& y);
// … where no size of an image is known: for packing.
kernels::PackedConvArgs packed_sizes(const KernelContext& context, int weight);

// Empty when the rank of input 0 is one that kernels have.
std::string refuse_many_dimensions(const KernelContext& context);

// A Conv whose f32 weight is constant, packed at load: images may lie channels last.
std::string refuse_packed_conv(const KernelContext& context);
// Of these, one that is multiplied as bf16 by bf16, as the session's weights are bf16.
std::string refuse_conv_bf16(const KernelContext& context);
// A tercel.DynamicQuantizedConv whose weight is the dequantisation of packed bytes.
std::string refuse_conv_int8(const KernelContext& context);
std::unique_ptr<CpuKernel> create_packed_conv(const KernelContext& context);

}  // namespace tercel::ops
