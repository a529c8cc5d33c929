#pragma once
// What the list in passes.cc is made of. A new pass is a file, a line here and a row there.

#include "src/passes/passes.h"

namespace tercel::passes {

// Calls of model-local functions that are no operator of Tercel become the function's body.
bool inline_functions(ir::Model& model, const PassContext& context);

// An If with a constant condition becomes its branch.
bool inline_if(ir::Model& model, const PassContext& context);

// Nodes with constant inputs become constants, as do integers that shape inference knows. What
// would blow up the model or copy a large weight is left to the plan; dequantised weights of
// convolutions of what was quantised are left to fold_conv_weights.
bool fold_constants(ir::Model& model, const PassContext& context);

// Nodes that hand on their input unchanged: Identity, casts and reshapes to what is there, + 0, …
bool eliminate_identity(ir::Model& model, const PassContext& context);

// Chains of Transpose, also as reshapes around a Transpose of fewer axes, become one.
bool merge_transposes(ir::Model& model, const PassContext& context);

// Reshape targets that are computed become constants; sizes are read from the graph's inputs.
bool simplify_shapes(ir::Model& model, const PassContext& context);

// Softmax and its like over rows that are flattened before and unflattened after: over the rows as
// they are, as old opsets had it.
bool unflatten_rows(ir::Model& model, const PassContext& context);

// Equal nodes, and equal small constants, become one.
bool eliminate_common(ir::Model& model, const PassContext& context);

// Nodes, outputs, initializers and functions that nothing uses. Graph inputs are kept.
bool eliminate_dead(ir::Model& model, const PassContext& context);

// (x - mean) / sqrt(variance + epsilon) · scale + bias → LayerNormalization.
bool fuse_layer_norm(ir::Model& model, const PassContext& context);

// A BatchNormalization of constants behind a Conv of constants → the Conv's weight and bias.
bool fold_batch_norm(ir::Model& model, const PassContext& context);

// DequantizeLinear → Conv → (Relu or Clip →) QuantizeLinear of bytes, as static quantisation writes
// it → QLinearConv, of one group or depthwise.
bool fuse_qlinear_conv(ir::Model& model, const PassContext& context);

// Dequantised weights that fuse_qlinear_conv has left, as fold_constants.
bool fold_conv_weights(ir::Model& model, const PassContext& context);

// QLinearConv of groups of channels and QLinearMatMul by what is computed, which no kernel
// multiplies as bytes → Conv and MatMul between DequantizeLinear and QuantizeLinear.
bool widen_products(ir::Model& model, const PassContext& context);

// Add, MaxPool, Concat (of whatever scales), Relu and Clip between DequantizeLinear and
// QuantizeLinear of bytes → the same on bytes.
bool fuse_qlinear(ir::Model& model, const PassContext& context);

// x · Φ(x) by Erf or Tanh → Gelu; x · sigmoid(a x) → Swish.
bool fuse_gelu(ir::Model& model, const PassContext& context);

// softmax(scale · Q Kᵀ + mask) V → Attention on [batch, heads, length, head size].
bool fuse_attention(ir::Model& model, const PassContext& context);

// Attention between the split of heads and their merge → Attention on [batch, length, hidden].
bool fuse_heads(ir::Model& model, const PassContext& context);

// An Attention's mask loses what broadcasting does anyway, and conjunctions with what is true.
bool simplify_masks(ir::Model& model, const PassContext& context);

// A padded encoder becomes one over packed rows of real tokens; run once, behind the others. The
// model's metadata say whether it did ("tercel.rows"), or which operator it stopped at.
bool unpad(ir::Model& model, const PassContext& context);

}  // namespace tercel::passes
