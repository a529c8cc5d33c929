#pragma once
// Moving elements without looking at them. An element is 1, 2, 4, 8 or 16 bytes.

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// out[i] = in[i] over `dims`, each array by its own strides: transpose, expand (stride 0), slice
// (also with negative steps: `in` then points at element [0, 0, …]), and concat or split as one
// call a part. Transposes go through shared memory, contiguous runs 16 bytes at a time.
struct StridedCopyArgs {
  int element_bytes = 4;
  Extents dims, in_strides, out_strides;
  const void* in = nullptr;
  void* out = nullptr;
};
void strided_copy(const StridedCopyArgs& args, cudaStream_t stream);

// Row-major strides of `dims`.
Extents row_major(const Extents& dims);

// Every element of out becomes the low `element_bytes` of `value` (16 bytes).
struct FillArgs {
  int element_bytes = 4;
  int64_t count = 0;
  uint64_t value[2] = {};
  void* out = nullptr;
};
void fill(const FillArgs& args, cudaStream_t stream);

// Parts along one axis, in one kernel: in[p] is [outer, axis[p], inner], contiguous, and lands
// behind the parts before it in out [outer, sum of axis, inner]. At most kMaxParts; more take more
// calls through `begin`, the first free place of the axis, and `total`, the axis of out.
constexpr int kMaxParts = 16;
struct ConcatArgs {
  int element_bytes = 4;
  int parts = 0;
  const void* in[kMaxParts] = {};
  int64_t axis[kMaxParts] = {};
  int64_t outer = 1, inner = 1;
  int64_t begin = 0, total = 0;
  void* out = nullptr;
};
void concat(const ConcatArgs& args, cudaStream_t stream);

enum class PadMode { constant, reflect, edge, wrap };
// out[i] = in[i - before], by the mode where that lies outside; `before` may be negative (a crop).
// The modes but constant need axes that are not empty.
struct PadArgs {
  int element_bytes = 4;
  PadMode mode = PadMode::constant;
  Extents in_dims, out_dims, before;
  const void* in = nullptr;     // contiguous
  const void* value = nullptr;  // one element on the device; null: zero
  void* out = nullptr;
};
void pad(const PadArgs& args, cudaStream_t stream);

// out = in repeated: out_dims[d] = in_dims[d] * repeats.
struct TileArgs {
  int element_bytes = 4;
  Extents in_dims, out_dims;
  const void* in = nullptr;
  void* out = nullptr;
};
void tile(const TileArgs& args, cudaStream_t stream);

// Keeps the elements of [batch, rows, columns] with column - row >= k (upper) or <= k; else zero.
struct TriluArgs {
  int element_bytes = 4;
  int64_t batch = 1, rows = 0, columns = 0, k = 0;
  bool upper = true;
  const void* in = nullptr;
  void* out = nullptr;  // may be `in`
};
void trilu(const TriluArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
