#pragma once
// The functions that quantised models call, bodies in standard operators that other runtimes run:
//
//   Y = tercel.DynamicQuantizedMatMul(X, W)
//   Y = tercel.DynamicQuantizedConv(X, W, B), one group, with Conv's attributes of the window
//
// The product with X rounded to 8 bits: each row of a matrix, each item of a batch of images, to
// 255 steps between its least and its greatest value.

#include "src/ir/model.h"

namespace tercel::passes {

inline constexpr const char* kDynamicMatMul = "DynamicQuantizedMatMul";
inline constexpr const char* kDynamicConv = "DynamicQuantizedConv";

// Adds the functions that the model does not have, and imports their domain.
void add_quantized_functions(ir::Model& model);

}  // namespace tercel::passes
