#include "src/ops/strings/strings.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kRegexFullMatchAttributes[] = {{"pattern", AttributeKind::string, true}};

void infer_regex_full_match(InferContext& context) {
  const Dtype dtype = context.dtype(0);
  if (dtype != Dtype::undefined && dtype != Dtype::string)
    context.reject("the input has {}; expected string", to_string(dtype));
  if (const ir::Dims* x = context.dims(0))
    context.set_output(0, Dtype::boolean, *x);
  else
    context.set_output(0, Dtype::boolean);
}

}  // namespace

const OpDef regex_full_match{.name = "RegexFullMatch",
                             .since = 20,
                             .compatible_since = 20,
                             .min_inputs = 1,
                             .max_inputs = 1,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attributes = kRegexFullMatchAttributes,
                             .infer = infer_regex_full_match};

}  // namespace tercel::ops
