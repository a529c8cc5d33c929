#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kSoftmaxAttributes[] = {{"axis", AttributeKind::integer}};

void infer_softmax(InferContext& context) {
  if (const auto rank = context.rank(0)) context.axis(context.node().int_or("axis", -1), *rank);
  infer_same_type(context);
}

constexpr OpDef along_axis(std::string_view name) {
  return {.name = name,
          .since = 13,
          .compatible_since = 13,
          .min_inputs = 1,
          .max_inputs = 1,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = kSoftmaxAttributes,
          .infer = infer_softmax};
}

}  // namespace

constinit const OpDef hardmax = along_axis("Hardmax");
constinit const OpDef log_softmax = along_axis("LogSoftmax");
constinit const OpDef softmax = along_axis("Softmax");

}  // namespace tercel::ops
