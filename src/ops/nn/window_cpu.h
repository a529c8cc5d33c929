#pragma once
// A window's arithmetic for kernels: always three spatial dimensions, the missing ones in front
// have one element.

#include <algorithm>
#include <array>

#include "src/ops/cpu_util.h"
#include "src/ops/nn/window.h"

namespace tercel::ops {

constexpr std::size_t kMaxSpatial = 3;

struct SlideAxis {
  int64_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, begin = 0, end = 0;

  // Where tap 0 of output `o` stands.
  int64_t start(int64_t o) const { return o * stride - begin; }

  // Taps [first, last) of output `o` that stand in [low, high).
  struct Taps {
    int64_t first, last;
    int64_t count() const { return last - first; }
  };
  Taps taps(int64_t o, int64_t low, int64_t high) const {
    const int64_t at = start(o);
    const int64_t first = at < low ? (low - at + dilation - 1) / dilation : 0;
    const int64_t last = at < high ? std::min(kernel, (high - at + dilation - 1) / dilation) : 0;
    return {std::min(first, kernel), std::max(last, std::min(first, kernel))};
  }
  Taps taps_inside(int64_t o) const { return taps(o, 0, in); }
};

using SlideAxes = std::array<SlideAxis, kMaxSpatial>;

// Throws Errc::unsupported for more dimensions than kMaxSpatial.
inline SlideAxes slide_axes(const ir::Node& node, const Window& window, const Shape& in,
                            const Shape& out) {
  if (window.rank() > kMaxSpatial) {
    fail(Errc::unsupported, "{} has {} spatial dimensions; at most {} are supported", node.label(),
         window.rank(), kMaxSpatial);
  }
  SlideAxes axes;
  for (std::size_t d = 0; d < window.rank(); ++d) {
    const Slide slide = slide_along(node, window, d, in[d + 2]);
    axes[d + kMaxSpatial - window.rank()] = {.in = in[d + 2],
                                             .out = out[d + 2],
                                             .kernel = window.kernel[d],
                                             .stride = window.strides[d],
                                             .dilation = window.dilations[d],
                                             .begin = slide.begin,
                                             .end = slide.end};
  }
  return axes;
}

}  // namespace tercel::ops
