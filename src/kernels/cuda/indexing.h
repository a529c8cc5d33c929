#pragma once
// Reading and writing at indices: gather, scatter, ranges, running sums, packed rows. Indices are
// i32 or i64; negative ones count from the end. Elements are 1, 2, 4, 8 or 16 bytes.

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// out[o, j, i] = in[o, indices[j], i]: in [outer, axis, inner], out [outer, count, inner].
struct GatherArgs {
  int element_bytes = 4;
  int64_t outer = 1, axis = 0, inner = 1, count = 0;
  const void* in = nullptr;
  Dtype index_type = Dtype::i64;
  const void* indices = nullptr;  // [count]
  void* out = nullptr;
  int* error = nullptr;
};
void gather(const GatherArgs& args, cudaStream_t stream);

// out[i] = in[i with position `axis` replaced by indices[i]], over the shape of the indices.
struct GatherElementsArgs {
  int element_bytes = 4;
  Extents in_dims, index_dims;
  int axis = 0;
  const void* in = nullptr;
  Dtype index_type = Dtype::i64;
  const void* indices = nullptr;
  void* out = nullptr;
  int* error = nullptr;
};
void gather_elements(const GatherElementsArgs& args, cudaStream_t stream);

// indices [batch, count, depth] point at slices of in [batch, dims…]: out [batch, count, slice],
// with slice the product of the dims behind the first `depth`.
struct GatherNdArgs {
  int element_bytes = 4;
  int64_t batch = 1, count = 0, slice = 1;
  int depth = 0;
  Extents dims;  // the first `depth` dimensions behind the batch
  const void* in = nullptr;
  Dtype index_type = Dtype::i64;
  const void* indices = nullptr;
  void* out = nullptr;
  int* error = nullptr;
};
void gather_nd(const GatherNdArgs& args, cudaStream_t stream);

// What a scattered element does to the one that is there. The last four are of the numeric types
// but bool and need `type`; where an index comes twice, sums of floating-point numbers may differ
// in their last bits from run to run, and `none` keeps any one of the updates.
enum class ScatterOp { none, add, mul, max, min };

// out[i with position `axis` replaced by indices[i]] op= updates[i]. `out` holds the data already.
struct ScatterElementsArgs {
  ScatterOp op = ScatterOp::none;
  Dtype type = Dtype::f32;
  Extents out_dims, index_dims;
  int axis = 0;
  Dtype index_type = Dtype::i64;
  const void* indices = nullptr;
  const void* updates = nullptr;
  void* out = nullptr;
  int* error = nullptr;
};
void scatter_elements(const ScatterElementsArgs& args, cudaStream_t stream);

// Slices of out [dims…, slice] op= updates [count, slice], at indices [count, depth].
struct ScatterNdArgs {
  ScatterOp op = ScatterOp::none;
  Dtype type = Dtype::f32;
  int64_t count = 0, slice = 1;
  int depth = 0;
  Extents dims;  // the first `depth` dimensions of out
  Dtype index_type = Dtype::i64;
  const void* indices = nullptr;
  const void* updates = nullptr;
  void* out = nullptr;
  int* error = nullptr;
};
void scatter_nd(const ScatterNdArgs& args, cudaStream_t stream);

// out[o, depth, i] of [outer, depth, inner] is values[1] where indices[o, i] names its place, else
// values[0]; an index out of range names none.
struct OneHotArgs {
  int element_bytes = 4;
  int64_t outer = 1, depth = 0, inner = 1;
  Dtype index_type = Dtype::i64;
  const void* indices = nullptr;  // [outer, inner]
  const void* values = nullptr;   // [2], on the device
  void* out = nullptr;
};
void one_hot(const OneHotArgs& args, cudaStream_t stream);

// out[i] = start + i * step, of i32, i64, f16, bf16, f32 or f64.
struct RangeArgs {
  Dtype type = Dtype::i64;
  int64_t count = 0;
  double start = 0, step = 1;
  void* out = nullptr;
};
void range(const RangeArgs& args, cudaStream_t stream);

// Running sum (or product) along `axis` of [outer, axis, inner]: f32, f16, bf16, f64, i32, i64,
// u32, u64. In place allowed unless exclusive.
struct CumulativeArgs {
  Dtype type = Dtype::f32;
  bool product = false, exclusive = false, reverse = false;
  int64_t outer = 1, axis = 0, inner = 1;
  const void* x = nullptr;
  void* y = nullptr;
};
void cumulative(const CumulativeArgs& args, cudaStream_t stream);

// The places of the elements that are not zero, ascending: out [rank, found] by the first `found`
// columns of an array [rank, capacity]; *found on the device.
struct NonZeroArgs {
  Dtype type = Dtype::boolean;  // a numeric type
  Extents dims;
  const void* x = nullptr;
  int64_t* out = nullptr;
  int64_t capacity = 0;  // at least the number of elements that are not zero
  int64_t* found = nullptr;
  void* scratch = nullptr;
};
std::size_t nonzero_scratch(const NonZeroArgs& args);
void nonzero(const NonZeroArgs& args, cudaStream_t stream);

// tercel.PackedRows (src/passes/packed_functions.h): from a mask [batch, length] the rows of real
// tokens. rows and positions have room for batch · length; the first *tokens are written.
struct PackedRowsArgs {
  Dtype type = Dtype::i64;  // of the mask: a numeric type
  int64_t batch = 0, length = 0;
  const void* mask = nullptr;
  int64_t* rows = nullptr;       // [tokens]
  int64_t* offsets = nullptr;    // [batch + 1]
  int64_t* positions = nullptr;  // [tokens]
  int64_t* first = nullptr;      // [batch]
  uint8_t* valid = nullptr;      // [batch, length]
  int64_t* tokens = nullptr;     // [1], on the device
  void* scratch = nullptr;
};
std::size_t packed_rows_scratch(const PackedRowsArgs& args);
void packed_rows(const PackedRowsArgs& args, cudaStream_t stream);

// tercel.UnpackedRows: out[rows[t]] = x[t] where valid[rows[t]], zero elsewhere. out [places, row].
struct UnpackedRowsArgs {
  int element_bytes = 4;
  int64_t tokens = 0, places = 0, row = 1;
  const void* x = nullptr;
  const int64_t* rows = nullptr;   // [tokens], ascending
  const uint8_t* valid = nullptr;  // [places]
  void* out = nullptr;
  int* error = nullptr;
};
void unpacked_rows(const UnpackedRowsArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
