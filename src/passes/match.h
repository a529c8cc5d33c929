#pragma once
// The vocabulary that passes are written in: asking what a value is, and putting another in its
// place.

#include <functional>
#include <memory>
#include <optional>

#include "src/ir/builder.h"
#include "src/ops/infer.h"
#include "src/passes/passes.h"

namespace tercel::passes {

// Types and contents of all values of the main graph and its subgraphs. Dimensions of graph inputs
// that have no name get one, so that they are equal to themselves wherever they go.
ops::Facts infer_facts(const ir::Model& model);
// The same, from the pass before where that changed nothing.
std::shared_ptr<const ops::Facts> facts_of(const ir::Model& model, const PassContext& context);

// Every graph of the model outside functions, subgraphs before the graphs around them.
void for_each_graph(ir::Model& model, const std::function<void(ir::Graph&)>& visit);

// Subgraphs in the attributes of a node.
void for_each_subgraph(const ir::Node& node, const std::function<void(ir::Graph&)>& visit);
bool has_subgraph(const ir::Node& node);

// The node that makes `value` when it is this operator of ONNX; null otherwise.
ir::Node* made_by(const ir::Value* value, std::string_view op_type);

// The only node that uses `value` when it is this operator; null otherwise, or for a graph output.
ir::Node* sole_user(const ir::Value* value, std::string_view op_type);
bool used_once(const ir::Value* value);
// By a node or as an output of the graph; null, an output that is left out, is not.
bool is_used(const ir::Value* value);

// The number in a constant of one element.
std::optional<double> scalar_of(const ir::Value* value);
// … when it is `expected`, within a relative error of 1e-4 (constants are written by exporters).
bool is_scalar(const ir::Value* value, double expected);

// x · factor as Mul by, or Div by, a constant scalar that leaves the shape alone.
struct Scaled {
  ir::Value* x;
  double factor;
};
std::optional<Scaled> scaled(const ir::Value* value, const ops::Facts& facts);

// Known dimensions of a tensor; null when the rank is unknown.
const ir::Dims* dims_of(const ir::Value* value, const ops::Facts& facts);
Dtype dtype_of(const ir::Value* value, const ops::Facts& facts);
bool equal_dims(const ir::Dims& a, const ir::Dims& b);
// Both ranks are known and all dimensions certainly equal.
bool same_dims(const ir::Value* a, const ir::Value* b, const ops::Facts& facts);

// The elements of a constant vector or scalar of int64.
std::optional<std::vector<int64_t>> ints_of(const ir::Value* value);

// The axes are the last one alone, of `rank` (null: by attribute `axes`, no default).
bool reduces_last_axis(const ir::Node& reduce, const ops::Facts& facts);

// A transpose's permutation with its default filled in; nothing when the rank is unknown.
std::optional<std::vector<int64_t>> perm_of(const ir::Node& transpose, const ops::Facts& facts);
bool is_identity(const std::vector<int64_t>& perm);
bool swaps_heads(const ir::Node& transpose);  // [0, 2, 1, 3]

// Puts the new value `to` in the place of `from`, with its name, type and its node's name.
void take_over(ir::Value* from, ir::Value* to);

// Puts a value that was there before in the place of `from`. False, and nothing done, when `from`
// is an output that `to` cannot stand for.
bool forward(ir::Value* from, ir::Value* to);

}  // namespace tercel::passes
