#include "src/ops/strings/strings.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kStringSplitAttributes[] = {{"delimiter", AttributeKind::string},
                                                   {"maxsplit", AttributeKind::integer}};

// Each string becomes a row of as many parts as the longest one has; and the number of its parts.
void infer_string_split(InferContext& context) {
  const Dtype dtype = context.dtype(0);
  if (dtype != Dtype::undefined && dtype != Dtype::string)
    context.reject("the input has {}; expected string", to_string(dtype));
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, Dtype::string);
    context.set_output(1, Dtype::i64);
    return;
  }
  ir::Dims parts = *x;
  parts.emplace_back();
  context.set_output(0, Dtype::string, std::move(parts));
  context.set_output(1, Dtype::i64, *x);
}

}  // namespace

const OpDef string_split{.name = "StringSplit",
                         .since = 20,
                         .compatible_since = 20,
                         .min_inputs = 1,
                         .max_inputs = 1,
                         .min_outputs = 1,
                         .max_outputs = 2,
                         .attributes = kStringSplitAttributes,
                         .infer = infer_string_split};

}  // namespace tercel::ops
