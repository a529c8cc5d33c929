#include "src/passes/quantized_functions.h"

#include "src/passes/own_functions.h"

namespace tercel::passes {
namespace {

constexpr const char* kQuantizedFunctions = R"(
<ir_version: 10, opset_import: ["" : 28, "tercel" : 1]>
none () => () {}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1],
 doc_string: "Each row rounded to 255 steps between its least and its greatest value.">
RoundedRows (x) => (y) {
  axis = Constant <value_ints: ints = [-1]> ()
  none = Constant <value_float: float = 0.0> ()
  steps = Constant <value_float: float = 255.0> ()
  least_range = Constant <value_float: float = 1e-30> ()
  least = ReduceMin <keepdims: int = 1> (x, axis)
  low = Min (least, none)
  greatest = ReduceMax <keepdims: int = 1> (x, axis)
  high = Max (greatest, none)
  difference = Sub (high, low)
  range = Max (difference, least_range)
  inverse = Div (steps, range)
  scale = Div (range, steps)
  below = Neg (low)
  below_in_steps = Mul (below, inverse)
  zero = Round (below_in_steps)
  x_in_steps = Mul (x, inverse)
  nearest = Round (x_in_steps)
  shifted = Add (nearest, zero)
  bounded = Clip (shifted, none, steps)
  centred = Sub (bounded, zero)
  y = Mul (centred, scale)
}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1],
 doc_string: "Each 32 elements of the last axis rounded to 127 steps from 0 to their greatest size.">
RoundedBlocks (x) => (y) {
  rows_of_blocks = Constant <value_ints: ints = [-1, 32]> ()
  axis = Constant <value_ints: ints = [-1]> ()
  steps = Constant <value_float: float = 127.0> ()
  least_range = Constant <value_float: float = 1e-30> ()
  blocks = Reshape (x, rows_of_blocks)
  size = Abs (blocks)
  greatest = ReduceMax <keepdims: int = 1> (size, axis)
  range = Max (greatest, least_range)
  inverse = Div (steps, range)
  scale = Div (range, steps)
  in_steps = Mul (blocks, inverse)
  nearest = Round (in_steps)
  rounded = Mul (nearest, scale)
  shape = Shape (x)
  y = Reshape (rounded, shape)
}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1],
 doc_string: "X * W, each 32 elements of a row of X rounded to 8 bits by a scale of their own.">
BlockQuantizedMatMul (X, W) => (Y) {
  rounded = tercel.RoundedBlocks (X)
  Y = MatMul (rounded, W)
}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1],
 doc_string: "X * W, each row of X rounded to 8 bits by a scale and a zero point of its own.">
DynamicQuantizedMatMul (X, W) => (Y) {
  rounded = tercel.RoundedRows (X)
  Y = MatMul (rounded, W)
}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1],
 doc_string: "Conv(X, W, B), each item of the batch rounded to 8 bits by a scale and a zero point of its own.">
DynamicQuantizedConv <auto_pad, dilations, pads, strides> (X, W, B) => (Y) {
  items = Flatten <axis: int = 1> (X)
  rounded_items = tercel.RoundedRows (items)
  shape = Shape (X)
  rounded = Reshape (rounded_items, shape)
  Y = Conv <auto_pad: string = @auto_pad, dilations: ints = @dilations, pads: ints = @pads,
            strides: ints = @strides> (rounded, W, B)
}

<domain: "tercel", opset_import: ["" : 28, "tercel" : 1],
 doc_string: "The sum of two quantised tensors, quantised.">
QLinearAdd (A, a_scale, a_zero, B, b_scale, b_zero, y_scale, y_zero) => (Y) {
  a = DequantizeLinear (A, a_scale, a_zero)
  b = DequantizeLinear (B, b_scale, b_zero)
  sum = Add (a, b)
  Y = QuantizeLinear (sum, y_scale, y_zero)
}
)";

}  // namespace

void add_quantized_functions(ir::Model& model) {
  add_functions(model, kQuantizedFunctions, "quantised functions");
}

}  // namespace tercel::passes
