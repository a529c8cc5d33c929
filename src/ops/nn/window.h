#pragma once
// The window that Conv and the pooling operators slide over the spatial dimensions of their input.

#include <vector>

#include "src/ops/infer.h"

namespace tercel::ops {

// Attributes with a value for each spatial dimension; all are checked.
struct Window {
  enum class AutoPad { none, same_upper, same_lower, valid };

  std::vector<int64_t> kernel;  // -1: not known
  std::vector<int64_t> strides, dilations;
  std::vector<int64_t> begin, end;  // pads, with AutoPad::none
  AutoPad auto_pad = AutoPad::none;
  bool ceil = false;

  std::size_t rank() const { return kernel.size(); }
};

// Of a node with `rank` spatial dimensions. `kernel` are the sizes where kernel_shape does not say
// them (a Conv's weight). Throws Errc::invalid_file for attributes that the operator forbids.
Window window_of(const ir::Node& node, std::size_t rank, std::vector<int64_t> kernel = {});

// The window along dimension `d` of an input of `size`: padding before and behind, and the number
// of its positions.
struct Slide {
  int64_t begin = 0, end = 0;
  int64_t count = 0;
};
Slide slide_along(const ir::Node& node, const Window& window, std::size_t d, int64_t size);

// The same for a transposed convolution (attributes output_padding and output_shape).
Slide slide_back(const ir::Node& node, const Window& window, std::size_t d, int64_t size);

// The output's size along `d`: unknown where the input's is, unless the window keeps it.
ir::Dim slid_dim(const ir::Node& node, const Window& window, std::size_t d, const ir::Dim& size);

// Output 0 of a convolution of input 0 by input `weight`; rejects shapes that do not fit.
void infer_convolution(InferContext& context, int weight, Dtype dtype);
// Rejects an input `index`, if there is one, that has not one element a channel.
void check_bias(InferContext& context, int index, const ir::Dim& channels);

}  // namespace tercel::ops
