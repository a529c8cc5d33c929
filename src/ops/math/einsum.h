#pragma once
// The equation of an Einsum.

#include <string>
#include <vector>

#include "src/ir/graph.h"

namespace tercel::ops {

// Labels are numbers from 0: letters, and the dimensions that an ellipsis stands for.
struct Einsum {
  std::vector<std::vector<int>> inputs;  // of each dimension
  std::vector<int> output;
  int labels = 0;
  int ellipsis = 0;  // labels [0, ellipsis) are the ellipsis's; these may broadcast
};

// For operands of these ranks. Throws Errc::invalid_file for an equation that does not fit them.
Einsum parse_einsum(const ir::Node& node, const std::vector<int>& ranks);

}  // namespace tercel::ops
