#include "src/ops/reduction/reduction.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kArgAttributes[] = {{"axis", AttributeKind::integer},
                                           {"keepdims", AttributeKind::integer},
                                           {"select_last_index", AttributeKind::integer}};

void infer_arg(InferContext& context) {
  const ir::Dims* data = context.dims(0);
  if (data == nullptr) {
    context.set_output(0, Dtype::i64);
    return;
  }
  const int axis = context.axis(context.node().int_or("axis", 0), static_cast<int>(data->size()));
  ir::Dims out = *data;
  if (out[static_cast<std::size_t>(axis)].known() &&
      out[static_cast<std::size_t>(axis)].value() == 0)
    context.reject("axis {} has no elements to choose from", axis);
  if (context.node().int_or("keepdims", 1) != 0)
    out[static_cast<std::size_t>(axis)] = 1;
  else
    out.erase(out.begin() + axis);
  context.set_output(0, Dtype::i64, std::move(out));
}

constexpr OpDef arg(std::string_view name) {
  return {.name = name,
          .since = 13,
          .compatible_since = 12,
          .min_inputs = 1,
          .max_inputs = 1,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = kArgAttributes,
          .infer = infer_arg};
}

}  // namespace

constinit const OpDef arg_max = arg("ArgMax");
constinit const OpDef arg_min = arg("ArgMin");

}  // namespace tercel::ops
