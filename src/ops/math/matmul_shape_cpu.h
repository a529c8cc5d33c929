#pragma once
// The sizes of a product of stacks of matrices, as numpy.matmul broadcasts them.

#include "src/ops/cpu_util.h"

namespace tercel::ops {

struct MatmulShape {
  int64_t m = 1, n = 1, k = 1;
  Shape batch;  // the broadcast leading dimensions
  Shape a_batch, b_batch;
  int64_t batches = 1;

  // Shapes that inference has accepted; a vector is a row on the left and a column on the right.
  MatmulShape(const Shape& a, const Shape& b);

  // Calls body(i, a, b) for each product i with the places of its factors, counted in matrices.
  template <class Body>
  void for_each(Body body) const {
    const BroadcastLoop loop = broadcast_loop(batch, {&a_batch, &b_batch});
    for (int64_t i = 0; i < batches; ++i) {
      const auto offsets = loop.locate(i);
      body(i, offsets[0], offsets[1]);
    }
  }
};

}  // namespace tercel::ops
