#pragma once
// Floating-point operations of a graph: matrix products, convolutions and attention, two a
// multiply-add. The rest is a few percent and left out.

#include "src/ops/infer.h"

namespace tercel {

double count_flops(const ir::Node& node, const ops::Facts& facts);
double count_flops(const ir::Graph& graph, const ops::Facts& facts);

}  // namespace tercel
