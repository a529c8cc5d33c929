// Operators that read sequences, and those of optional values.

#include "src/ops/rules.h"
#include "src/ops/sequence/sequence.h"
#include "src/ops/sequence/sequence_types.h"

namespace tercel::ops {
namespace {

void infer_at(InferContext& context) { context.set_output(0, element_of(context, 0)); }

void infer_length(InferContext& context) { context.set_output(0, Dtype::i64, {}); }

void infer_concat_sequence(InferContext& context) {
  ir::Type type = element_of(context, 0);
  const int64_t new_axis = context.node().int_or("new_axis", 0);
  if (new_axis != 0 && new_axis != 1)
    context.reject("attribute \"new_axis\": expected 0 or 1, not {}", new_axis);
  if (type.dims) {
    const int rank = type.rank() + static_cast<int>(new_axis);
    const int axis = context.axis(context.node().int_or("axis", 0), rank);
    if (new_axis != 0)
      type.dims->insert(type.dims->begin() + axis, ir::Dim());
    else
      (*type.dims)[static_cast<std::size_t>(axis)] = {};
  }
  context.set_output(0, std::move(type));
}

void infer_optional(InferContext& context) {
  ir::Type type{ir::Type::Kind::optional, Dtype::undefined, std::nullopt, nullptr};
  if (context.has_input(0)) {
    type.element = std::make_shared<ir::Type>(type_or_unknown(context, 0));
  } else {
    const ir::Attribute* attribute = context.node().find_attribute("type");
    const auto* given = attribute != nullptr ? std::get_if<ir::Type>(&attribute->data) : nullptr;
    if (given == nullptr) context.reject("needs an input or the attribute \"type\"");
    type.element = std::make_shared<ir::Type>(without_shape(*given));
  }
  context.set_output(0, std::move(type));
}

bool is_optional(const InferContext& context) {
  const ir::Type* type = context.input(0);
  return type == nullptr || type->kind == ir::Type::Kind::optional ||
         type->kind == ir::Type::Kind::unknown;
}

// What is not optional is its own element.
void infer_get(InferContext& context) {
  context.set_output(0, is_optional(context) ? element_of(context, 0) : *context.input(0));
}

void infer_has(InferContext& context) {
  context.set_output(0, Dtype::boolean, {});
  if (!context.has_input(0))
    context.set_contents(0, {Known(0)});
  else if (!is_optional(context))
    context.set_contents(0, {Known(1)});
}

constexpr AttributeDef kConcatSequenceAttributes[] = {{"axis", AttributeKind::integer, true},
                                                      {"new_axis", AttributeKind::integer}};
constexpr AttributeDef kOptionalAttributes[] = {{"type", AttributeKind::type}};

}  // namespace

const OpDef sequence_at{.name = "SequenceAt",
                        .since = 11,
                        .compatible_since = 11,
                        .min_inputs = 2,
                        .max_inputs = 2,
                        .min_outputs = 1,
                        .max_outputs = 1,
                        .infer = infer_at};

const OpDef sequence_length{.name = "SequenceLength",
                            .since = 11,
                            .compatible_since = 11,
                            .min_inputs = 1,
                            .max_inputs = 1,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .infer = infer_length};

const OpDef concat_from_sequence{.name = "ConcatFromSequence",
                                 .since = 11,
                                 .compatible_since = 11,
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attributes = kConcatSequenceAttributes,
                                 .infer = infer_concat_sequence};

const OpDef optional{.name = "Optional",
                     .since = 28,
                     .compatible_since = 15,
                     .min_inputs = 0,
                     .max_inputs = 1,
                     .min_outputs = 1,
                     .max_outputs = 1,
                     .attributes = kOptionalAttributes,
                     .infer = infer_optional};

const OpDef optional_get_element{.name = "OptionalGetElement",
                                 .since = 28,
                                 .compatible_since = 18,
                                 .min_inputs = 1,
                                 .max_inputs = 1,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .infer = infer_get};

const OpDef optional_has_element{.name = "OptionalHasElement",
                                 .since = 28,
                                 .compatible_since = 18,
                                 .min_inputs = 0,
                                 .max_inputs = 1,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .infer = infer_has};

}  // namespace tercel::ops
