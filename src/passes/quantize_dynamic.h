#pragma once
// Dynamic quantisation to 8 bits, without calibration: of the weights once, of the activations
// token by token, or image by image, as they come.

#include <set>
#include <string>
#include <vector>

#include "src/ir/model.h"

namespace tercel::passes {

// Each MatMul and plain Gemm of f32 by a constant matrix of at least 4 KiB (also behind Transpose
// and Cast) becomes tercel.DynamicQuantizedMatMul of its first factor and the DequantizeLinear of
// an i8 weight with one scale a column, -127 … 127. Each Conv of one group by such a constant,
// where at least 16 channels come in, becomes tercel.DynamicQuantizedConv, with one scale an output
// channel. The functions' bodies are standard operators (quantized_functions.h).
// Weights named in `keep` stay. Returns the names of the weights that were quantised, in the order
// of the nodes.
std::vector<std::string> quantize_dynamic(ir::Model& model, const std::set<std::string>& keep = {});

// The name of what a weight becomes (another when the graph has it already).
std::string quantized_name(const std::string& weight);

}  // namespace tercel::passes
