#pragma once
// What an operator is: versions, attributes, and the rule for the types of its outputs. One OpDef a
// (domain, name), at the newest version; src/passes/adapt.h brings older models to it. Source of
// the facts: https://github.com/onnx/onnx/blob/main/docs/Operators.md

#include <cstdint>
#include <span>
#include <string_view>

#include "src/ops/infer.h"

namespace tercel::ops {

enum class AttributeKind {
  number,
  integer,
  string,
  tensor,
  graph,
  type,
  numbers,
  integers,
  strings,
  tensors
};

struct AttributeDef {
  std::string_view name;
  AttributeKind kind;
  bool required = false;
};

inline constexpr int kVariadic = INT32_MAX;

struct OpDef {
  std::string_view domain;  // "" is ONNX's own
  std::string_view name;
  // Version of the newest definition, which kernels follow.
  int since;
  // The oldest version whose inputs and attributes mean the same (newer ones may have added element
  // types): a saved model is stamped with the lowest opset that covers all of its operators.
  int compatible_since;
  int min_inputs;
  int max_inputs;  // kVariadic: no limit
  int min_outputs;
  int max_outputs;
  std::span<const AttributeDef> attributes;
  // Sets the types of the outputs (and, where it can, the contents of small integer ones) from
  // those of the inputs. Calls context.reject() for what the specification forbids.
  void (*infer)(InferContext& context);
  // The output is the input's elements under another shape: the plan lets it share the input's
  // memory.
  bool view_of_input = false;
  // The same inputs give the same outputs (false for random operators): they may be folded and
  // merged.
  bool deterministic = true;
  // For operators whose newer inputs and attributes a node may leave out: the oldest version that
  // has all this node uses. Null: compatible_since.
  int (*version_of)(const ir::Node& node) = nullptr;
};

// Null when Tercel does not define the operator.
const OpDef* find_op(std::string_view domain, std::string_view name);

// All operators, in the order of the families' tables.
std::span<const OpDef* const> all_ops();

// Checks arity, attribute names and kinds against the definition. Throws Errc::invalid_file.
void check_node(const ir::Node& node, const OpDef& def);

// The lowest opset of ONNX's domain at which all operators of the model mean what they mean here.
int64_t lowest_opset(const ir::Model& model);

}  // namespace tercel::ops
