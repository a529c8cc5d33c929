#pragma once
// A node of com.microsoft whose tensors of 8-bit integers come with a scale and a zero point each.
// Source of the facts: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md

#include <initializer_list>
#include <optional>

#include "src/ops/op_def.h"
#include "src/passes/adapters/adapters.h"

namespace tercel::passes {

struct Integers {
  ir::Value* values;
  ir::Value* scale;
  ir::Value* zero;  // null: 0
};

class QuantizedNode {
 public:
  // Throws Errc::invalid_file for more inputs and for other attributes.
  QuantizedNode(const Adaptation& adaptation, int max_inputs,
                std::span<const ops::AttributeDef> attributes);

  ir::Builder& b() { return b_; }  // adds nodes before this one

  // Throws Errc::invalid_file when the input is left out.
  ir::Value* required(int index) const;
  // A scale for all elements, or one for each of `count` columns (nothing: their number is not
  // known). Throws Errc::invalid_file for another number of them.
  ir::Value* scale(int index, std::optional<int64_t> count = 1) const;
  // A zero point likewise; null when it is left out.
  ir::Value* zero(int index, std::optional<int64_t> count = 1) const;
  // Inputs index … index + 2.
  Integers integers(int index, std::optional<int64_t> count = 1) const;
  // `zero`, or where that is null 0 of the type that `values` has.
  ir::Value* given(ir::Value* zero, ir::Value* values) const;

  // DequantizeLinear of inputs index … index + 2.
  ir::Value* real(int index);
  // ONNX's operator with the attributes of the node, but for one.
  ir::Value* of_onnx(std::string op_type, std::vector<ir::Value*> inputs,
                     std::string_view without = {});

  // QuantizeLinear(real) takes the node's place, by inputs index and index + 1, of the type that
  // `values` has.
  void finish(ir::Value* real, int index, ir::Value* values);
  void replace(ir::Value* result);  // takes the node's place

 private:
  const Adaptation& adaptation_;
  ir::Node& node_;
  ir::Builder b_;
};

}  // namespace tercel::passes
