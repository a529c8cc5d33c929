#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

std::optional<ir::Dims> broadcast_all(InferContext& context) {
  std::optional<ir::Dims> result;
  for (int i = 0; i < context.node().num_inputs(); ++i) {
    if (!context.has_input(i)) continue;
    const ir::Dims* dims = context.dims(i);
    if (dims == nullptr) return std::nullopt;
    result = result ? broadcast(context, *result, *dims) : *dims;
  }
  return result;
}

void infer_broadcast_as(InferContext& context, Dtype dtype) {
  for (int i = 1; i < context.node().num_inputs(); ++i) require_same_dtype(context, 0, i);
  if (auto dims = broadcast_all(context))
    context.set_output(0, dtype, std::move(*dims));
  else
    context.set_output(0, dtype);
}

}  // namespace

void infer_same_type(InferContext& context) {
  if (const ir::Type* type = context.input(0)) context.set_output(0, *type);
}

void infer_broadcast(InferContext& context) { infer_broadcast_as(context, context.dtype(0)); }

void infer_broadcast_boolean(InferContext& context) { infer_broadcast_as(context, Dtype::boolean); }

ir::Type common_type(const ir::Type& a, const ir::Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype) return {};
  ir::Type result{a.kind, a.dtype, std::nullopt, nullptr};
  if (a.element != nullptr && b.element != nullptr)
    result.element = std::make_shared<ir::Type>(common_type(*a.element, *b.element));
  if (!a.dims || !b.dims || a.dims->size() != b.dims->size()) return result;
  result.dims = a.dims;
  for (std::size_t i = 0; i < a.dims->size(); ++i) {
    if (!(*a.dims)[i].equals((*b.dims)[i])) (*result.dims)[i] = {};
  }
  return result;
}

ir::Type without_shape(ir::Type type) {
  type.dims.reset();
  if (type.element != nullptr)
    type.element = std::make_shared<ir::Type>(without_shape(*type.element));
  return type;
}

ir::Type type_or_unknown(const InferContext& context, int index) {
  const ir::Type* type = context.input(index);
  return type != nullptr ? *type : ir::Type{};
}

void require_same_dtype(InferContext& context, int a, int b) {
  const Dtype x = context.dtype(a);
  const Dtype y = context.dtype(b);
  if (x != Dtype::undefined && y != Dtype::undefined && x != y) {
    context.reject("inputs {} and {} must have the same element type; they have {} and {}", a, b,
                   to_string(x), to_string(y));
  }
}

}  // namespace tercel::ops
