#pragma once
// The steps by which operators changed between opsets: one adapter an operator and version.

#include <span>
#include <string_view>
#include <vector>

#include "src/ir/builder.h"
#include "src/ops/infer.h"

namespace tercel::passes {

// One node to adapt, and what is known of the values before it.
struct Adaptation {
  ir::Node& node;
  const ops::Facts& facts;
  bool in_function;  // constants are nodes there: a function has no initializers
  ir::Model& model;  // gets the functions that are called

  // Adds nodes before the one that is adapted.
  ir::Builder builder() const { return ir::Builder(node.graph(), &node); }
  ir::Value* constant(Tensor tensor) const;
  ir::Value* ints(const std::vector<int64_t>& values) const;
  ir::Builder builder_after() const;  // adds nodes behind it
  // What an attribute of numbers holds, as a value; the attribute goes. Null when there is none.
  ir::Value* taken(std::string_view attribute) const;
  // `value` as elements of the type that `other` has.
  ir::Value* like(ir::Value* value, ir::Value* other) const;
  // Throws Errc::unsupported when the attribute is a function's parameter, whose value is not
  // known.
  void require_value(std::string_view attribute) const;
};

struct Adapter {
  std::string_view op_type;
  int64_t below;  // applies to models of an older opset; rows of one operator go upwards
  void (*adapt)(const Adaptation& adaptation);
};

std::span<const Adapter> adapters();

// Operators of other domains that are written in ONNX's own: the node goes, whatever the opset.
struct ForeignOp {
  std::string_view domain;
  std::string_view op_type;
  void (*adapt)(const Adaptation& adaptation);
};

std::span<const ForeignOp> foreign_ops();

void adapt_clip(const Adaptation& adaptation);              // Clip 11
void adapt_pad(const Adaptation& adaptation);               // Pad 11
void adapt_slice(const Adaptation& adaptation);             // Slice 10
void adapt_top_k(const Adaptation& adaptation);             // TopK 10
void adapt_one_hot(const Adaptation& adaptation);           // OneHot 11
void adapt_scatter(const Adaptation& adaptation);           // Scatter 11
void adapt_upsample_scales(const Adaptation& adaptation);   // Upsample 9
void adapt_upsample(const Adaptation& adaptation);          // Upsample 10
void adapt_resize_inputs(const Adaptation& adaptation);     // Resize 11
void adapt_resize_empty(const Adaptation& adaptation);      // Resize 13
void adapt_scan_batch(const Adaptation& adaptation);        // Scan 9
void adapt_dropout_mask(const Adaptation& adaptation);      // Dropout 10
void adapt_batch_statistics(const Adaptation& adaptation);  // BatchNormalization 9
void adapt_axes_to_input(const Adaptation& adaptation);     // Squeeze, Unsqueeze, Reduce*
void adapt_split_to_input(const Adaptation& adaptation);    // Split 13
void adapt_split_count(const Adaptation& adaptation);       // Split 18
void adapt_flattening(const Adaptation& adaptation);        // Softmax, LogSoftmax, Hardmax 13
void adapt_dropout(const Adaptation& adaptation);
void adapt_batch_normalization(const Adaptation& adaptation);
void adapt_group_normalization(const Adaptation& adaptation);
void adapt_roi_align(const Adaptation& adaptation);
void adapt_grid_sample(const Adaptation& adaptation);
void adapt_dft(const Adaptation& adaptation);

void adapt_dynamic_quantize_mat_mul(const Adaptation& adaptation);
void adapt_linear(const Adaptation& adaptation);  // DequantizeLinear, QuantizeLinear
void adapt_mat_mul_integer_to_float(const Adaptation& adaptation);
void adapt_mat_mul_n_bits(const Adaptation& adaptation);
void adapt_q_gemm(const Adaptation& adaptation);
void adapt_qlinear_average_pool(const Adaptation& adaptation);
void adapt_qlinear_binary(const Adaptation& adaptation);  // Add, Mul
void adapt_qlinear_concat(const Adaptation& adaptation);
void adapt_qlinear_global_average_pool(const Adaptation& adaptation);
void adapt_qlinear_leaky_relu(const Adaptation& adaptation);
void adapt_qlinear_sigmoid(const Adaptation& adaptation);
void adapt_qlinear_softmax(const Adaptation& adaptation);
void adapt_qlinear_where(const Adaptation& adaptation);

}  // namespace tercel::passes
