#pragma once
// The sizes that Resize gives: shared by its rule and its kernel, because scales may be known only
// at run time.

#include <optional>
#include <vector>

#include "src/ops/infer.h"

namespace tercel::ops {

struct ResizedAxis {
  std::size_t axis;
  double scale;
  int64_t size;
};

// The axes that the node resizes, in the order of its attribute. Exactly one of `scales` and
// `sizes` is given; they have a value for each axis. Throws Errc::invalid_file for values that are
// refused.
std::vector<ResizedAxis> resized_axes(const ir::Node& node, const Shape& in,
                                      const std::vector<float>* scales,
                                      const std::vector<int64_t>* sizes);

}  // namespace tercel::ops
