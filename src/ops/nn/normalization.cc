// The normalisations that keep the shape of their input: Lp, batch, instance, group.
#include "src/ops/nn/nn.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kBatch[] = {{"epsilon", AttributeKind::number},
                                   {"momentum", AttributeKind::number},
                                   {"training_mode", AttributeKind::integer}};
constexpr AttributeDef kInstance[] = {{"epsilon", AttributeKind::number}};
constexpr AttributeDef kGroup[] = {{"epsilon", AttributeKind::number},
                                   {"num_groups", AttributeKind::integer, true},
                                   {"stash_type", AttributeKind::integer}};
constexpr AttributeDef kMeanVariance[] = {{"axes", AttributeKind::integers}};
constexpr AttributeDef kNormalizationLp[] = {{"axis", AttributeKind::integer},
                                             {"p", AttributeKind::integer}};

// Inputs [first, last] are vectors with an element for each channel, axis 1 of input 0.
void check_channels_normalization(InferContext& context, int first, int last) {
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) return;
  if (x->size() < 2) context.reject("the input has rank {}; expected 2 or more", x->size());
  const ir::Dim& channels = (*x)[1];
  for (int i = first; i <= last; ++i) {
    const ir::Dims* dims = context.dims(i);
    if (dims == nullptr) continue;
    if (dims->size() != 1) context.reject("input {} has rank {}; expected 1", i, dims->size());
    const ir::Dim& size = dims->front();
    if (channels.known() && size.known() && size.value() != channels.value()) {
      context.reject("input {} has {} elements for {} channels", i, size.value(), channels.value());
    }
  }
}

void infer_batch(InferContext& context) {
  const ir::Dims* x = context.dims(0);
  if (x == nullptr || x->size() > 1) check_channels_normalization(context, 1, 4);
  infer_same_type(context);
  for (int i = 1; i <= 2; ++i) {
    if (!context.wants_output(i)) continue;
    if (context.node().int_or("training_mode", 0) == 0)
      context.reject("has output {}, which only training_mode = 1 gives", i);
    if (const ir::Type* type = context.input(i + 2)) context.set_output(i, *type);
  }
}

void infer_instance(InferContext& context) {
  check_channels_normalization(context, 1, 2);
  infer_same_type(context);
}

void infer_group(InferContext& context) {
  check_channels_normalization(context, 1, 2);
  const int64_t groups = context.node().int_or("num_groups", 0);
  if (groups <= 0) context.reject("num_groups is {}; expected 1 or more", groups);
  const ir::Dims* x = context.dims(0);
  if (x != nullptr && (*x)[1].known() && (*x)[1].value() % groups != 0)
    context.reject("{} channels do not divide into {} groups", (*x)[1].value(), groups);
  infer_same_type(context);
}

void infer_lp(InferContext& context) {
  const auto& node = context.node();
  const int64_t p = node.int_or("p", 2);
  if (p != 1 && p != 2) context.reject("p is {}; expected 1 or 2", p);
  if (const auto rank = context.rank(0)) context.axis(node.int_or("axis", -1), *rank);
  infer_same_type(context);
}

void infer_mean_variance(InferContext& context) {
  if (const auto rank = context.rank(0))
    checked_axes(context, context.node().ints_or("axes", {0, 2, 3}), *rank);
  infer_same_type(context);
}

constexpr OpDef normalization(std::string_view name, int since, int compatible_since, int inputs,
                              int max_outputs, std::span<const AttributeDef> attributes,
                              void (*rule)(InferContext&)) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .min_outputs = 1,
          .max_outputs = max_outputs,
          .attributes = attributes,
          .infer = rule};
}

}  // namespace

constinit const OpDef batch_normalization =
    normalization("BatchNormalization", 15, 14, 5, 3, kBatch, infer_batch);
constinit const OpDef group_normalization =
    normalization("GroupNormalization", 21, 21, 3, 1, kGroup, infer_group);
constinit const OpDef instance_normalization =
    normalization("InstanceNormalization", 22, 6, 3, 1, kInstance, infer_instance);
constinit const OpDef lp_normalization =
    normalization("LpNormalization", 22, 1, 1, 1, kNormalizationLp, infer_lp);
constinit const OpDef mean_variance_normalization =
    normalization("MeanVarianceNormalization", 13, 9, 1, 1, kMeanVariance, infer_mean_variance);

}  // namespace tercel::ops
