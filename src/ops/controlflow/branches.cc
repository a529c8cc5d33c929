#include <algorithm>

#include "src/ops/controlflow/controlflow.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kIfAttributes[] = {{"then_branch", AttributeKind::graph, true},
                                          {"else_branch", AttributeKind::graph, true}};
constexpr AttributeDef kLoopAttributes[] = {{"body", AttributeKind::graph, true}};
constexpr AttributeDef kScanAttributes[] = {{"body", AttributeKind::graph, true},
                                            {"num_scan_inputs", AttributeKind::integer, true},
                                            {"scan_input_axes", AttributeKind::integers},
                                            {"scan_output_axes", AttributeKind::integers},
                                            {"scan_input_directions", AttributeKind::integers},
                                            {"scan_output_directions", AttributeKind::integers}};

const ir::Graph& body_of(const InferContext& context, std::string_view name) {
  const ir::Graph* graph = context.node().subgraph(name);
  if (graph == nullptr) context.reject("attribute \"{}\": expected a graph", name);
  return *graph;
}

void infer_if(InferContext& context) {
  const ir::Graph& yes = body_of(context, "then_branch");
  const ir::Graph& no = body_of(context, "else_branch");
  const auto count = static_cast<std::size_t>(context.node().num_outputs());
  for (const ir::Graph* branch : {&yes, &no}) {
    if (branch->outputs().size() != count) {
      context.reject("a branch has {} outputs; the node has {}", branch->outputs().size(), count);
    }
  }
  // The branch that is not taken need not fit the shapes of this run.
  const auto condition = context.numbers(0);
  if (condition && condition->size() == 1) {
    const auto types = context.infer_subgraph(condition->front() != 0 ? yes : no, {});
    for (std::size_t i = 0; i < count; ++i) context.set_output(static_cast<int>(i), types[i]);
    return;
  }
  const auto a = context.infer_subgraph(yes, {});
  const auto b = context.infer_subgraph(no, {});
  for (std::size_t i = 0; i < count; ++i)
    context.set_output(static_cast<int>(i), common_type(a[i], b[i]));
}

void infer_loop(InferContext& context) {
  const ir::Graph& body = body_of(context, "body");
  const int carried = std::max(context.node().num_inputs() - 2, 0);
  const int outputs = context.node().num_outputs();
  if (static_cast<int>(body.inputs().size()) != carried + 2 ||
      static_cast<int>(body.outputs().size()) != outputs + 1 || outputs < carried) {
    context.reject("the body has {} inputs and {} outputs; {} values are carried, {} come out",
                   body.inputs().size(), body.outputs().size(), carried, outputs);
  }
  std::vector<ir::Type> types{ir::Type::tensor(Dtype::i64, {}),
                              ir::Type::tensor(Dtype::boolean, {})};
  for (int i = 0; i < carried; ++i) types.push_back(without_shape(type_or_unknown(context, i + 2)));
  const auto results = context.infer_subgraph(body, types);
  for (int i = 0; i < outputs; ++i) {
    ir::Type type = results[static_cast<std::size_t>(i) + 1];
    if (i < carried) {
      context.set_output(i, common_type(type, type_or_unknown(context, i + 2)));
      continue;
    }
    if (type.dims) type.dims->insert(type.dims->begin(), ir::Dim());
    context.set_output(i, std::move(type));
  }
}

int64_t axis_at(const ir::Node& node, std::string_view name, int index) {
  const auto axes = node.ints_or(name, {});
  return static_cast<std::size_t>(index) < axes.size() ? axes[static_cast<std::size_t>(index)] : 0;
}

void infer_scan(InferContext& context) {
  const ir::Node& node = context.node();
  const ir::Graph& body = body_of(context, "body");
  const int64_t scanned = node.int_or("num_scan_inputs", 0);
  const int64_t states = node.num_inputs() - scanned;
  if (scanned < 1 || states < 0 || static_cast<int>(body.inputs().size()) != node.num_inputs() ||
      static_cast<int>(body.outputs().size()) != node.num_outputs() ||
      node.num_outputs() < states) {
    context.reject("the body has {} inputs and {} outputs; the node has {} and {}, {} scanned",
                   body.inputs().size(), body.outputs().size(), node.num_inputs(),
                   node.num_outputs(), scanned);
  }
  ir::Dim length;
  std::vector<ir::Type> types;
  for (int i = 0; i < node.num_inputs(); ++i) {
    types.push_back(type_or_unknown(context, i));
    auto& dims = types.back().dims;
    if (i < states || !dims) continue;
    const int axis = context.axis(axis_at(node, "scan_input_axes", i - static_cast<int>(states)),
                                  static_cast<int>(dims->size()));
    length = (*dims)[static_cast<std::size_t>(axis)];
    dims->erase(dims->begin() + axis);
  }
  const auto results = context.infer_subgraph(body, types);
  for (int i = 0; i < node.num_outputs(); ++i) {
    ir::Type type = results[static_cast<std::size_t>(i)];
    if (i >= states && type.dims) {
      const int axis = context.axis(axis_at(node, "scan_output_axes", i - static_cast<int>(states)),
                                    static_cast<int>(type.dims->size()) + 1);
      type.dims->insert(type.dims->begin() + axis, length);
    }
    context.set_output(i, std::move(type));
  }
}

}  // namespace

const OpDef if_op{.name = "If",
                  .since = 25,
                  .compatible_since = 11,
                  .min_inputs = 1,
                  .max_inputs = 1,
                  .min_outputs = 1,
                  .max_outputs = kVariadic,
                  .attributes = kIfAttributes,
                  .infer = infer_if};

const OpDef loop{.name = "Loop",
                 .since = 25,
                 .compatible_since = 11,
                 .min_inputs = 0,
                 .max_inputs = kVariadic,
                 .min_outputs = 1,
                 .max_outputs = kVariadic,
                 .attributes = kLoopAttributes,
                 .infer = infer_loop};

const OpDef scan{.name = "Scan",
                 .since = 25,
                 .compatible_since = 11,
                 .min_inputs = 1,
                 .max_inputs = kVariadic,
                 .min_outputs = 1,
                 .max_outputs = kVariadic,
                 .attributes = kScanAttributes,
                 .infer = infer_scan};

}  // namespace tercel::ops
