#include "src/ops/strings/strings.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kStringNormalizerAttributes[] = {
    {"case_change_action", AttributeKind::string},
    {"is_case_sensitive", AttributeKind::integer},
    {"locale", AttributeKind::string},
    {"stopwords", AttributeKind::strings}};

// [C] or [1, C]: how many strings stay depends on them.
void infer_string_normalizer(InferContext& context) {
  const Dtype dtype = context.dtype(0);
  if (dtype != Dtype::undefined && dtype != Dtype::string)
    context.reject("the input has {}; expected string", to_string(dtype));
  const std::string action = context.node().string_or("case_change_action", "NONE");
  if (action != "LOWER" && action != "UPPER" && action != "NONE")
    context.reject("case_change_action is \"{}\"; expected LOWER, UPPER or NONE", action);
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, Dtype::string);
    return;
  }
  const bool row = x->size() == 2 && (!(*x)[0].known() || (*x)[0].value() == 1);
  if (x->size() != 1 && !row)
    context.reject("the input is {}; expected [C] or [1, C]", ir::to_string(*x));
  ir::Dims out(x->size(), ir::Dim(1));
  out.back() = ir::Dim();
  context.set_output(0, Dtype::string, std::move(out));
}

}  // namespace

const OpDef string_normalizer{.name = "StringNormalizer",
                              .since = 10,
                              .compatible_since = 10,
                              .min_inputs = 1,
                              .max_inputs = 1,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attributes = kStringNormalizerAttributes,
                              .infer = infer_string_normalizer};

}  // namespace tercel::ops
