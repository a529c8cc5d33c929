#pragma once
// The functions that quantised models call, bodies in standard operators that other runtimes run:
//
//   Y = tercel.BlockQuantizedMatMul(X, W), K a multiple of kQuantizedBlock
//   Y = tercel.DynamicQuantizedMatMul(X, W)
//   Y = tercel.DynamicQuantizedConv(X, W, B), one group, with Conv's attributes of the window
//   Y = tercel.QLinearAdd(A, a_scale, a_zero, B, b_scale, b_zero, y_scale, y_zero), of one shape
//
// Of those of numbers: the product with X rounded to 8 bits: each row of a matrix, each item of a
// batch of images, to 255 steps between its least and its greatest value; each block of
// kQuantizedBlock elements of a row to 127 steps from 0 to the greatest size.

#include "src/ir/model.h"

namespace tercel::passes {

inline constexpr int64_t kQuantizedBlock = 32;
inline constexpr const char* kBlockMatMul = "BlockQuantizedMatMul";
inline constexpr const char* kDynamicMatMul = "DynamicQuantizedMatMul";
inline constexpr const char* kDynamicConv = "DynamicQuantizedConv";
inline constexpr const char* kLinearAdd = "QLinearAdd";

// Adds the functions that the model does not have, and imports their domain.
void add_quantized_functions(ir::Model& model);

}  // namespace tercel::passes
