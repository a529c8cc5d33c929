#include "src/passes/match.h"

#include <algorithm>
#include <cmath>

#include "src/base/half.h"

namespace tercel::passes {

ops::Facts infer_facts(const ir::Model& model) {
  std::vector<ir::Type> types;
  for (const ir::Value* input : model.graph.inputs()) {
    ir::Type type = input->type;
    if (type.dims) {
      int64_t index = 0;
      for (ir::Dim& dim : *type.dims) {
        if (!dim.known() && !dim.symbolic())
          dim = ir::Dim("[" + input->name() + "." + std::to_string(index) + "]");
        ++index;
      }
    }
    types.push_back(std::move(type));
  }
  return ops::infer(model.graph, types, &model);
}

std::shared_ptr<const ops::Facts> facts_of(const ir::Model& model, const PassContext& context) {
  if (context.facts != nullptr && *context.facts != nullptr) return *context.facts;
  auto facts = std::make_shared<const ops::Facts>(infer_facts(model));
  if (context.facts != nullptr) *context.facts = facts;
  return facts;
}

void for_each_subgraph(const ir::Node& node, const std::function<void(ir::Graph&)>& visit) {
  for (const ir::Attribute& attribute : node.attributes()) {
    if (const auto* graph = std::get_if<std::shared_ptr<ir::Graph>>(&attribute.data))
      visit(**graph);
    if (const auto* graphs = std::get_if<std::vector<std::shared_ptr<ir::Graph>>>(&attribute.data))
      for (const auto& graph : *graphs) visit(*graph);
  }
}

bool has_subgraph(const ir::Node& node) {
  bool found = false;
  for_each_subgraph(node, [&](ir::Graph&) { found = true; });
  return found;
}

namespace {

void visit_graphs(ir::Graph& graph, const std::function<void(ir::Graph&)>& visit) {
  for (const auto& node : graph.nodes())
    for_each_subgraph(*node, [&](ir::Graph& inner) { visit_graphs(inner, visit); });
  visit(graph);
}

}  // namespace

void for_each_graph(ir::Model& model, const std::function<void(ir::Graph&)>& visit) {
  visit_graphs(model.graph, visit);
}

ir::Node* made_by(const ir::Value* value, std::string_view op_type) {
  if (value == nullptr || value->producer() == nullptr || value->output_index() != 0)
    return nullptr;
  return value->producer()->is(op_type) ? value->producer() : nullptr;
}

bool used_once(const ir::Value* value) {
  return value->uses().size() == 1 && !value->is_graph_output();
}

bool is_used(const ir::Value* value) {
  return value != nullptr && (!value->uses().empty() || value->is_graph_output());
}

ir::Node* sole_user(const ir::Value* value, std::string_view op_type) {
  if (!used_once(value)) return nullptr;
  ir::Node* user = value->uses().front().node;
  return user->is(op_type) && &user->graph() == &value->graph() ? user : nullptr;
}

std::optional<double> scalar_of(const ir::Value* value) {
  if (value == nullptr || !value->is_constant() || value->initializer().size() != 1)
    return std::nullopt;
  const Tensor& tensor = value->initializer();
  switch (tensor.dtype()) {
    case Dtype::f32:
      return tensor.values<float>()[0];
    case Dtype::f64:
      return tensor.values<double>()[0];
    case Dtype::f16:
      return to_float(*static_cast<const f16*>(tensor.data()));
    case Dtype::bf16:
      return to_float(*static_cast<const bf16*>(tensor.data()));
    case Dtype::i8:
      return tensor.values<int8_t>()[0];
    case Dtype::u8:
      return tensor.values<uint8_t>()[0];
    case Dtype::i32:
      return tensor.values<int32_t>()[0];
    case Dtype::i64:
      return static_cast<double>(tensor.values<int64_t>()[0]);
    case Dtype::boolean:
      return tensor.values<bool>()[0] ? 1 : 0;
    default:
      return std::nullopt;
  }
}

bool is_scalar(const ir::Value* value, double expected) {
  constexpr double kTolerance = 1e-4;
  const auto number = scalar_of(value);
  return number && std::abs(*number - expected) <= kTolerance * std::abs(expected);
}

std::optional<Scaled> scaled(const ir::Value* value, const ops::Facts& facts) {
  ir::Node* node = made_by(value, "Mul");
  const bool divides = node == nullptr;
  if (divides) node = made_by(value, "Div");
  if (node == nullptr) return std::nullopt;
  for (const int at : {1, 0}) {
    const auto factor = scalar_of(node->input(at));
    if (!factor || (divides && (at == 0 || *factor == 0))) continue;
    ir::Value* x = node->input(1 - at);
    const int rank = node->input(at)->initializer().rank();
    const ir::Dims* dims = dims_of(x, facts);
    if (rank > 0 && (dims == nullptr || static_cast<int>(dims->size()) < rank)) continue;
    return Scaled{x, divides ? 1 / *factor : *factor};
  }
  return std::nullopt;
}

const ir::Dims* dims_of(const ir::Value* value, const ops::Facts& facts) {
  const ir::Type* type = value != nullptr ? facts.type(value) : nullptr;
  if (type == nullptr || type->kind != ir::Type::Kind::tensor || !type->dims) return nullptr;
  return &*type->dims;
}

Dtype dtype_of(const ir::Value* value, const ops::Facts& facts) {
  const ir::Type* type = value != nullptr ? facts.type(value) : nullptr;
  return type != nullptr && type->kind == ir::Type::Kind::tensor ? type->dtype : Dtype::undefined;
}

bool equal_dims(const ir::Dims& a, const ir::Dims& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const ir::Dim& x, const ir::Dim& y) { return x.equals(y); });
}

bool same_dims(const ir::Value* a, const ir::Value* b, const ops::Facts& facts) {
  const ir::Dims* x = dims_of(a, facts);
  const ir::Dims* y = dims_of(b, facts);
  return x != nullptr && y != nullptr && equal_dims(*x, *y);
}

std::optional<std::vector<int64_t>> ints_of(const ir::Value* value) {
  if (value == nullptr || !value->is_constant() || value->initializer().rank() > 1 ||
      value->initializer().dtype() != Dtype::i64) {
    return std::nullopt;
  }
  const auto values = value->initializer().values<int64_t>();
  return std::vector<int64_t>(values.begin(), values.end());
}

bool reduces_last_axis(const ir::Node& reduce, const ops::Facts& facts) {
  std::vector<int64_t> axes = reduce.ints_or("axes", {});
  if (reduce.input(1) != nullptr) axes = ints_of(reduce.input(1)).value_or(axes);
  if (axes.size() != 1 || reduce.int_or("keepdims", 1) == 0) return false;
  const ir::Dims* dims = dims_of(reduce.input(0), facts);
  return axes[0] == -1 || (dims != nullptr && axes[0] == static_cast<int64_t>(dims->size()) - 1);
}

std::optional<std::vector<int64_t>> perm_of(const ir::Node& transpose, const ops::Facts& facts) {
  auto perm = transpose.ints_or("perm", {});
  if (!perm.empty()) return perm;
  const ir::Dims* dims = dims_of(transpose.input(0), facts);
  if (dims == nullptr) return std::nullopt;
  for (std::size_t i = dims->size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  return perm;
}

bool is_identity(const std::vector<int64_t>& perm) {
  return std::is_sorted(perm.begin(), perm.end());
}

bool swaps_heads(const ir::Node& transpose) {
  return transpose.ints_or("perm", {}) == std::vector<int64_t>{0, 2, 1, 3};
}

void take_over(ir::Value* from, ir::Value* to) {
  ir::Graph& graph = from->graph();
  const bool named_output = from->is_graph_output();
  const std::string name = from->name();
  to->type = from->type;
  if (to->producer()->name.empty() && from->producer() != nullptr)
    to->producer()->name = from->producer()->name;
  graph.replace_uses(from, to);
  if (named_output) return;
  graph.rename(from, name + "_replaced");
  graph.rename(to, name);
}

bool forward(ir::Value* from, ir::Value* to) {
  const bool can_be_output =
      &to->graph() == &from->graph() && to->producer() != nullptr && !to->is_graph_output();
  if (from->is_graph_output() && !can_be_output) return false;
  if (!is_used(from)) return false;
  from->graph().replace_uses(from, to);
  return true;
}

}  // namespace tercel::passes
