#include <limits>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kCastAttributes[] = {{"to", AttributeKind::integer, true},
                                            {"saturate", AttributeKind::integer},
                                            {"round_mode", AttributeKind::string}};
constexpr AttributeDef kCastLikeAttributes[] = {{"saturate", AttributeKind::integer},
                                                {"round_mode", AttributeKind::string}};

Known converted(const Known& element, Dtype to) {
  if (to == Dtype::boolean)
    return element.is_number() ? Known(element.number() != 0 ? 1 : 0) : Known();
  if (to == Dtype::i32 && element.is_number()) return Known(static_cast<int32_t>(element.number()));
  return element;
}

void infer_to(InferContext& context, Dtype to) {
  if (const ir::Dims* dims = context.dims(0))
    context.set_output(0, to, *dims);
  else
    context.set_output(0, to);
  const Contents* contents = context.contents(0);
  if (contents == nullptr || !holds_contents(to)) return;
  Contents result;
  for (const Known& element : *contents) result.push_back(converted(element, to));
  context.set_contents(0, std::move(result));
}

void infer_cast(InferContext& context) {
  const auto to = static_cast<Dtype>(context.node().int_or("to", 0));
  if (to != Dtype::string && bits_of(to) == 0)
    context.reject("attribute \"to\": {} is no element type", context.node().int_or("to", 0));
  infer_to(context, to);
}

void infer_cast_like(InferContext& context) { infer_to(context, context.dtype(1)); }

}  // namespace

const OpDef cast{.name = "Cast",
                 .since = 28,
                 .compatible_since = 9,
                 .min_inputs = 1,
                 .max_inputs = 1,
                 .min_outputs = 1,
                 .max_outputs = 1,
                 .attributes = kCastAttributes,
                 .infer = infer_cast};

const OpDef cast_like{.name = "CastLike",
                      .since = 25,
                      .compatible_since = 15,
                      .min_inputs = 2,
                      .max_inputs = 2,
                      .min_outputs = 1,
                      .max_outputs = 1,
                      .attributes = kCastLikeAttributes,
                      .infer = infer_cast_like};

}  // namespace tercel::ops
