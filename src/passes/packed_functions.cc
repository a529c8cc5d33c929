#include "src/passes/packed_functions.h"

#include "src/passes/own_functions.h"

namespace tercel::passes {
namespace {

constexpr const char* kPackedFunctions = R"(
<ir_version: 10, opset_import: ["" : 28, "tercel" : 1]>
none () => () {}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1]>
PackedRows (mask) => (rows, offsets, positions, first, valid) {
  zero = Constant <value_int: int = 0> ()
  one = Constant <value_int: int = 1> ()
  axis_0 = Constant <value_ints: ints = [0]> ()
  axis_1 = Constant <value_ints: ints = [1]> ()
  all = Constant <value_ints: ints = [-1]> ()
  valid = Cast <to: int = 9> (mask)
  ones = Cast <to: int = 7> (valid)
  counts = ReduceSum <keepdims: int = 1> (ones, axis_1)
  length_1 = Shape <start: int = 1> (mask)
  length = Squeeze (length_1, axis_0)
  places = Range (zero, length, one)
  plain = Less (places, counts)
  unlike = Xor (plain, valid)
  holes = Cast <to: int = 7> (unlike)
  nothing = Equal (counts, zero)
  empty = Cast <to: int = 7> (nothing)
  number_of_holes = ReduceSum <keepdims: int = 0> (holes)
  number_of_empty = ReduceSum <keepdims: int = 0> (empty)
  odd = Add (number_of_holes, number_of_empty)
  keep_all = Greater (odd, zero)
  kept = Or (valid, keep_all)
  flat = Reshape (kept, all)
  found = NonZero (flat)
  rows = Squeeze (found, axis_0)
  kept_ones = Cast <to: int = 7> (kept)
  lengths = ReduceSum <keepdims: int = 0> (kept_ones, axis_1)
  ends = CumSum (lengths, zero)
  offsets = Concat <axis: int = 0> (axis_0, ends)
  first = Sub (ends, lengths)
  positions = Mod (rows, length)
}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1]>
PaddedRows (x, rows, sizes) => (y) {
  axis_1 = Constant <value_ints: ints = [1]> ()
  places = ReduceProd <keepdims: int = 1> (sizes)
  width = Shape <start: int = 1> (x)
  flat_shape = Concat <axis: int = 0> (places, width)
  plain_zeros = ConstantOfShape (flat_shape)
  zeros = CastLike (plain_zeros, x)
  at = Unsqueeze (rows, axis_1)
  flat = ScatterND (zeros, at, x)
  shape = Concat <axis: int = 0> (sizes, width)
  y = Reshape (flat, shape)
}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1]>
PackedAttention <q_num_heads, kv_num_heads, scale, softcap: float = 0.0,
                 left_window: int = 2147483647, right_window: int = 2147483647>
                (q, k, v, offsets, rows, valid, bias) => (y) {
  zero = Constant <value_int: int = 0> ()
  one = Constant <value_int: int = 1> ()
  axis_0 = Constant <value_ints: ints = [0]> ()
  axis_1 = Constant <value_ints: ints = [1]> ()
  axes = Constant <value_ints: ints = [1, 2]> ()
  sizes = Shape (valid)
  q_padded = tercel.PaddedRows (q, rows, sizes)
  k_padded = tercel.PaddedRows (k, rows, sizes)
  v_padded = tercel.PaddedRows (v, rows, sizes)
  length_1 = Shape <start: int = 1> (valid)
  length = Squeeze (length_1, axis_0)
  places = Range (zero, length, one)
  queries = Unsqueeze (places, axis_1)
  distance = Sub (places, queries)
  left = Constant <value_int: int = @left_window> ()
  right = Constant <value_int: int = @right_window> ()
  farthest = Neg (left)
  not_before = GreaterOrEqual (distance, farthest)
  not_behind = LessOrEqual (distance, right)
  near = And (not_before, not_behind)
  keys = Unsqueeze (valid, axes)
  seen = And (keys, near)
  hidden = Constant <value_float: float = -3.4028235e38> ()
  mask = Where (seen, bias, hidden)
  y_padded = Attention <q_num_heads: int = @q_num_heads, kv_num_heads: int = @kv_num_heads,
                        scale: float = @scale, softcap: float = @softcap>
                       (q_padded, k_padded, v_padded, mask)
  width = Shape <start: int = 2> (y_padded)
  places_of_all = ReduceProd <keepdims: int = 1> (sizes)
  shape = Concat <axis: int = 0> (places_of_all, width)
  y_rows = Reshape (y_padded, shape)
  y = Gather <axis: int = 0> (y_rows, rows)
}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1]>
UnpackedRows (x, rows, valid) => (y) {
  all = Constant <value_ints: ints = [-1]> ()
  flat = Reshape (valid, all)
  real = Gather <axis: int = 0> (flat, rows)
  x_real = Compress <axis: int = 0> (x, real)
  rows_real = Compress <axis: int = 0> (rows, real)
  sizes = Shape (valid)
  y = tercel.PaddedRows (x_real, rows_real, sizes)
}
)";

}  // namespace

void add_packed_functions(ir::Model& model) {
  add_functions(model, kPackedFunctions, "packed functions");
}

}  // namespace tercel::passes
