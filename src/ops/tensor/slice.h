#pragma once
// The arithmetic of ONNX's Slice on one axis.

#include <cstdint>

namespace tercel::ops {

struct SliceRange {
  int64_t start = 0;
  int64_t step = 1;
  int64_t count = 0;
};

// Elements start, start + step, … before `end`, of an axis of `size`. Negative positions count from
// the end; those outside are clamped. `step` may not be 0.
SliceRange slice_range(int64_t size, int64_t start, int64_t end, int64_t step);

}  // namespace tercel::ops
