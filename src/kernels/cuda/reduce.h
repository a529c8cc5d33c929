#pragma once
// Reductions. The order of a sum depends on the length of the reduced axis and on `inner` alone.

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

enum class ReduceOp { sum, mean, max, min, prod, sum_square, l1, l2, log_sum, log_sum_exp };

// [outer, axis, inner] -> [outer, inner], contiguous. f32, f16, bf16 (in f32), f64, i32, i64, u32,
// u64, i8, u8 (in i64; the mean is truncated; l2 and the logs refuse integers) and bool (max: any;
// min: all). An empty axis gives the operation's neutral element (0, 1, -inf or the lowest, inf or
// the largest; NaN for the mean). max and min give NaN when any element is NaN.
struct ReduceArgs {
  ReduceOp op = ReduceOp::sum;
  Dtype type = Dtype::f32;
  int64_t outer = 0, axis = 0, inner = 1;
  const void* x = nullptr;
  void* y = nullptr;
};
void reduce(const ReduceArgs& args, cudaStream_t stream);

// The place of the largest (smallest) element along a non-empty axis, the first of equals or the
// last; the first NaN wins. Numeric types.
struct ArgReduceArgs {
  Dtype type = Dtype::f32;
  bool max = true, last = false;
  int64_t outer = 0, axis = 0, inner = 1;
  const void* x = nullptr;
  int64_t* y = nullptr;  // [outer, inner]
};
void arg_reduce(const ArgReduceArgs& args, cudaStream_t stream);

// The k largest (smallest) of a row of [outer, axis, inner] and their places, sorted; equals by
// ascending place. f32, f16, bf16, i32, i64. axis <= 2^31.
struct TopKArgs {
  Dtype type = Dtype::f32;
  bool largest = true;
  int64_t outer = 0, axis = 0, inner = 1, k = 0;
  const void* x = nullptr;
  void* values = nullptr;      // [outer, k, inner]
  int64_t* indices = nullptr;  // [outer, k, inner]
};
void top_k(const TopKArgs& args, cudaStream_t stream);

enum class RaggedPool { mean, max, sum, first };
// One row for each sequence of packed rows x [tokens, columns]: y[b] over the rows [offsets[b],
// offsets[b + 1]); zeros for an empty sequence. f32, f16, bf16. A sum of n rows passes through
// ceil(n / 8) + 3 additions at most, and is off by no more than so many times 2^-24 times the sum
// of the magnitudes (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 4.2).
struct RaggedPoolArgs {
  Dtype type = Dtype::f32;
  RaggedPool pool = RaggedPool::mean;
  int64_t batch = 0, columns = 0;
  const void* x = nullptr;
  int64_t x_row = 0;
  const int64_t* offsets = nullptr;  // [batch + 1], on the device
  void* y = nullptr;                 // [batch, columns]
  bool normalize = false;            // then to unit length (zeros stay)
};
void ragged_pool(const RaggedPoolArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
