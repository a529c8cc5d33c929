// NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kLossAttributes[] = {{"ignore_index", AttributeKind::integer},
                                            {"reduction", AttributeKind::string}};

void infer_loss(InferContext& context) {
  const std::string reduction = context.node().string_or("reduction", "mean");
  if (reduction != "none" && reduction != "sum" && reduction != "mean")
    context.reject("reduction \"{}\": expected none, sum or mean", reduction);
  if (context.has_input(2)) require_same_dtype(context, 0, 2);
  if (const ir::Type* scores = context.input(0)) context.set_output(1, *scores);
  const ir::Dims* x = context.dims(0);
  const ir::Dims* target = context.dims(1);
  if (x != nullptr) {
    if (x->size() < 2) context.reject("the input has rank {}; expected 2 or more", x->size());
    if (const ir::Dims* weight = context.dims(2)) {
      if (weight->size() != 1) context.reject("the weight has rank {}; expected 1", weight->size());
      same_dim(context, weight->front(), (*x)[1], "weights and classes");
    }
  }
  if (x != nullptr && target != nullptr) {
    if (target->size() + 1 != x->size())
      context.reject("the target has rank {} for an input of rank {}", target->size(), x->size());
    for (std::size_t d = 0; d < target->size(); ++d)
      same_dim(context, (*target)[d], (*x)[d == 0 ? 0 : d + 1], "dimensions of input and target");
  }
  if (reduction != "none")
    context.set_output(0, context.dtype(0), {});
  else if (target != nullptr)
    context.set_output(0, context.dtype(0), *target);
  else
    context.set_output(0, context.dtype(0));
}

constexpr OpDef loss(std::string_view name, int since, int compatible_since, int outputs) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = 2,
          .max_inputs = 3,
          .min_outputs = 1,
          .max_outputs = outputs,
          .attributes = kLossAttributes,
          .infer = infer_loss};
}

}  // namespace

constinit const OpDef negative_log_likelihood_loss = loss("NegativeLogLikelihoodLoss", 22, 12, 1);
constinit const OpDef softmax_cross_entropy_loss = loss("SoftmaxCrossEntropyLoss", 13, 12, 2);

}  // namespace tercel::ops
