// Operators that make sequences and change them.

#include "src/ops/rules.h"
#include "src/ops/sequence/sequence.h"
#include "src/ops/sequence/sequence_types.h"

namespace tercel::ops {
namespace {

void infer_construct(InferContext& context) {
  ir::Type element = type_or_unknown(context, 0);
  for (int i = 1; i < context.node().num_inputs(); ++i)
    element = common_type(element, type_or_unknown(context, i));
  context.set_output(0, sequence_of(std::move(element)));
}

void infer_empty(InferContext& context) {
  const auto dtype = static_cast<Dtype>(context.node().int_or("dtype", 1));
  if (dtype != Dtype::string && bits_of(dtype) == 0)
    context.reject("attribute \"dtype\": {} is no element type", context.node().int_or("dtype", 1));
  context.set_output(0, sequence_of(ir::Type::tensor(dtype)));
}

void infer_insert(InferContext& context) {
  const ir::Type element = element_of(context, 0);
  context.set_output(0, sequence_of(common_type(element, type_or_unknown(context, 1))));
}

void infer_split(InferContext& context) {
  ir::Type element = type_or_unknown(context, 0);
  if (element.dims) {
    const auto axis = context.axis(context.node().int_or("axis", 0), element.rank());
    ir::Dim& dim = (*element.dims)[static_cast<std::size_t>(axis)];
    if (context.has_input(1))
      dim = {};
    else if (context.node().int_or("keepdims", 1) != 0)
      dim = 1;
    else
      element.dims->erase(element.dims->begin() + axis);
  }
  context.set_output(0, sequence_of(std::move(element)));
}

void infer_map(InferContext& context) {
  const ir::Node& node = context.node();
  const ir::Graph* body = node.subgraph("body");
  if (body == nullptr) context.reject("attribute \"body\": expected a graph");
  if (static_cast<int>(body->inputs().size()) != node.num_inputs() ||
      static_cast<int>(body->outputs().size()) < node.num_outputs()) {
    context.reject("the body has {} inputs and {} outputs; the node has {} and {}",
                   body->inputs().size(), body->outputs().size(), node.num_inputs(),
                   node.num_outputs());
  }
  std::vector<ir::Type> types;
  for (int i = 0; i < node.num_inputs(); ++i) {
    ir::Type type = type_or_unknown(context, i);
    types.push_back(type.kind == ir::Type::Kind::sequence ? element_of(context, i) : type);
  }
  auto results = context.infer_subgraph(*body, types);
  for (int i = 0; i < node.num_outputs(); ++i)
    context.set_output(i, sequence_of(std::move(results[static_cast<std::size_t>(i)])));
}

constexpr AttributeDef kEmptyAttributes[] = {{"dtype", AttributeKind::integer}};
constexpr AttributeDef kSplitAttributes[] = {{"axis", AttributeKind::integer},
                                             {"keepdims", AttributeKind::integer}};
constexpr AttributeDef kMapAttributes[] = {{"body", AttributeKind::graph, true}};

}  // namespace

ir::Type sequence_of(ir::Type element) {
  ir::Type type{ir::Type::Kind::sequence, Dtype::undefined, std::nullopt, nullptr};
  if (element.kind != ir::Type::Kind::unknown)
    type.element = std::make_shared<ir::Type>(std::move(element));
  return type;
}

ir::Type element_of(const InferContext& context, int index) {
  const ir::Type* type = context.input(index);
  return type != nullptr && type->element != nullptr ? *type->element : ir::Type{};
}

const OpDef sequence_construct{.name = "SequenceConstruct",
                               .since = 11,
                               .compatible_since = 11,
                               .min_inputs = 1,
                               .max_inputs = kVariadic,
                               .min_outputs = 1,
                               .max_outputs = 1,
                               .infer = infer_construct};

const OpDef sequence_empty{.name = "SequenceEmpty",
                           .since = 11,
                           .compatible_since = 11,
                           .min_inputs = 0,
                           .max_inputs = 0,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .attributes = kEmptyAttributes,
                           .infer = infer_empty};

const OpDef sequence_insert{.name = "SequenceInsert",
                            .since = 11,
                            .compatible_since = 11,
                            .min_inputs = 2,
                            .max_inputs = 3,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .infer = infer_insert};

const OpDef sequence_erase{.name = "SequenceErase",
                           .since = 11,
                           .compatible_since = 11,
                           .min_inputs = 1,
                           .max_inputs = 2,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .infer = infer_same_type};

const OpDef split_to_sequence{.name = "SplitToSequence",
                              .since = 24,
                              .compatible_since = 11,
                              .min_inputs = 1,
                              .max_inputs = 2,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attributes = kSplitAttributes,
                              .infer = infer_split};

const OpDef sequence_map{.name = "SequenceMap",
                         .since = 17,
                         .compatible_since = 17,
                         .min_inputs = 1,
                         .max_inputs = kVariadic,
                         .min_outputs = 1,
                         .max_outputs = kVariadic,
                         .attributes = kMapAttributes,
                         .infer = infer_map};

}  // namespace tercel::ops
