#include "src/ops/generator/generator.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kConstantAttributes[] = {
    {"value", AttributeKind::tensor},         {"value_int", AttributeKind::integer},
    {"value_ints", AttributeKind::integers},  {"value_float", AttributeKind::number},
    {"value_floats", AttributeKind::numbers}, {"value_string", AttributeKind::string},
    {"value_strings", AttributeKind::strings}};

template <class T>
Tensor vector_of(const std::vector<T>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

Tensor tensor_of(const ir::Attribute& attribute) {
  const ir::Attribute::Data& data = attribute.data;
  if (const auto* tensor = std::get_if<Tensor>(&data)) return *tensor;
  if (const auto* number = std::get_if<int64_t>(&data)) return Tensor::scalar(*number);
  if (const auto* number = std::get_if<float>(&data)) return Tensor::scalar(*number);
  if (const auto* text = std::get_if<std::string>(&data)) return Tensor::from_strings({*text}, {});
  if (const auto* list = std::get_if<std::vector<int64_t>>(&data)) return vector_of(*list);
  if (const auto* list = std::get_if<std::vector<float>>(&data)) return vector_of(*list);
  if (const auto* list = std::get_if<std::vector<std::string>>(&data))
    return Tensor::from_strings(*list, {static_cast<int64_t>(list->size())});
  return {};
}

void infer_constant(InferContext& context) {
  // Inside a function the value may be one of the caller's.
  for (const ir::Attribute& attribute : context.node().attributes()) {
    if (!attribute.ref.empty()) return;
  }
  const Tensor value = constant_value(context.node());
  context.set_output(0, value.dtype(), ir::to_dims(value.shape()));
  if (auto contents = contents_of(value)) context.set_contents(0, std::move(*contents));
}

void infer_filled(InferContext& context) {
  const Tensor value = fill_value(context.node());
  const auto dims = dims_from(context, 0);
  if (!dims) {
    context.set_output(0, value.dtype());
    return;
  }
  const auto shape = ir::to_shape(*dims);
  const auto element = contents_of(value);
  if (element && shape && shape->size() <= 1 && element_count(*shape) <= kMaxContents) {
    context.set_contents(
        0, Contents(static_cast<std::size_t>(element_count(*shape)), element->front()));
  }
  context.set_output(0, value.dtype(), *dims);
}

constexpr AttributeDef kFillAttributes[] = {{"value", AttributeKind::tensor}};

}  // namespace

Tensor constant_value(const ir::Node& node) {
  if (node.attributes().size() == 1) {
    Tensor value = tensor_of(node.attributes().front());
    if (value.defined()) return value;
  }
  fail(Errc::invalid_file, "{} has {} attributes; expected one that holds the value", node.label(),
       node.attributes().size());
}

Tensor fill_value(const ir::Node& node) {
  const ir::Attribute* attribute = node.find_attribute("value");
  if (attribute == nullptr) return Tensor::scalar(0.0F);
  const auto* value = std::get_if<Tensor>(&attribute->data);
  if (value == nullptr || value->size() != 1) {
    fail(Errc::invalid_file, "{} attribute \"value\": expected a tensor of one element",
         node.label());
  }
  return *value;
}

const OpDef constant{.name = "Constant",
                     .since = 25,
                     .compatible_since = 12,
                     .min_inputs = 0,
                     .max_inputs = 0,
                     .min_outputs = 1,
                     .max_outputs = 1,
                     .attributes = kConstantAttributes,
                     .infer = infer_constant};

const OpDef constant_of_shape{.name = "ConstantOfShape",
                              .since = 25,
                              .compatible_since = 9,
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attributes = kFillAttributes,
                              .infer = infer_filled};

}  // namespace tercel::ops
