#pragma once
// What passes ask of QuantizeLinear and DequantizeLinear of 8-bit integers with constant scales.

#include <functional>
#include <limits>

#include "src/passes/match.h"
#include "src/passes/passes.h"

namespace tercel::passes {

// One number for all, or one for each of `count`.
bool is_one_or(const ir::Value& constant, int64_t count);
bool is_constant_of(const ir::Value* value, Dtype dtype);

// The node's scale and zero point are constants, one for all or one for each of `channels`, and its
// integers of the type `bytes`, i8 or u8.
bool is_linear(const ir::Node& node, Dtype bytes, int64_t channels);

// The DequantizeLinear, with one scale for all, that makes `value` of what is not constant.
ir::Node* dequantized_bytes(const ir::Value* value, const ops::Facts& facts);

// A scale and a zero point.
struct Linear {
  ir::Value* scale;
  ir::Value* zero;
};
// Of such a node; the zero point is made where it is left out.
Linear linear_of(const ir::Node& node, Dtype bytes, ir::Builder& b);
// Both have one positive scale, the same, and the same zero point and type.
bool same_linear(const ir::Node& a, const ir::Node& b, const ops::Facts& facts);

// Whether kernels have a convolution by a constant weight of this shape on bytes: of one group, or
// depthwise, with one output channel a group.
bool is_conv_of_bytes(const ir::Node& conv, const Shape& weight);

// rewrite(node, facts) of every QuantizeLinear whose result is used. Whether any was rewritten.
bool rewrite_quantizing(ir::Model& model, const PassContext& context,
                        const std::function<bool(ir::Node&, const ops::Facts&)>& rewrite);

// What a QuantizeLinear with one positive scale rounds: perhaps behind a Relu or a Clip, which is
// then done on bytes.
struct QuantizedResult {
  ir::Value* value;
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool bounded = false;            // by a node of its own
  const ir::Type* type = nullptr;  // of the bytes, where it is known
};
std::optional<QuantizedResult> quantized_result(const ir::Node& quantize, const ops::Facts& facts);

// Puts bytes in the place of a QuantizeLinear's result.
void put_bytes(ir::Node& quantize, ir::Value* bytes, const QuantizedResult& result,
               const Linear& linear, ir::Builder& b);

}  // namespace tercel::passes
