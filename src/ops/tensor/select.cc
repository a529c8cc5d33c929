#include <algorithm>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kTriluAttributes[] = {{"upper", AttributeKind::integer}};
constexpr AttributeDef kSelectAxis[] = {{"axis", AttributeKind::integer}};

void infer_trilu(InferContext& context) {
  const auto rank = context.rank(0);
  if (rank && *rank < 2) context.reject("the input has rank {}; expected 2 or more", *rank);
  infer_same_type(context);
}

void infer_non_zero(InferContext& context) {
  const auto rank = context.rank(0);
  context.set_output(0, Dtype::i64, {rank ? ir::Dim(*rank) : ir::Dim(), ir::Dim()});
}

ir::Dim depth_of(const InferContext& context) {
  if (const Contents* depth = context.contents(1); depth != nullptr && depth->size() == 1) {
    if (depth->front().is_number() && depth->front().number() < 0)
      context.reject("the depth is {}", depth->front().number());
    return depth->front().dim();
  }
  const Tensor* constant = context.constant(1);
  if (constant == nullptr || constant->size() != 1 || constant->dtype() != Dtype::f32) return {};
  const float depth = constant->values<float>().front();
  return depth >= 0 && depth < 1e9F ? ir::Dim(static_cast<int64_t>(depth)) : ir::Dim();
}

void infer_one_hot(InferContext& context) {
  const ir::Dims* indices = context.dims(0);
  if (indices == nullptr) {
    context.set_output(0, context.dtype(2));
    return;
  }
  ir::Dims result = *indices;
  const int axis =
      context.axis(context.node().int_or("axis", -1), static_cast<int>(indices->size()) + 1);
  result.insert(result.begin() + axis, depth_of(context));
  context.set_output(0, context.dtype(2), std::move(result));
}

ir::Dim kept_by(const InferContext& context, const ir::Dim& size) {
  const auto condition = context.numbers(1);
  if (!condition) return {};
  const auto kept = [](int64_t flag) { return flag != 0; };
  const int64_t count = std::count_if(condition->begin(), condition->end(), kept);
  if (size.known() && static_cast<int64_t>(condition->size()) > size.value()) {
    context.reject("the condition has {} elements for {}", condition->size(), size.value());
  }
  return count;
}

void infer_compress(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  if (!context.node().has_attribute("axis")) {
    context.set_output(0, context.dtype(0), {kept_by(context, ir::Dim())});
    return;
  }
  if (dims == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  ir::Dims result = *dims;
  ir::Dim& dim = result[static_cast<std::size_t>(
      context.axis(context.node().int_or("axis", 0), static_cast<int>(dims->size())))];
  dim = kept_by(context, dim);
  context.set_output(0, context.dtype(0), std::move(result));
}

}  // namespace

const OpDef trilu{.name = "Trilu",
                  .since = 14,
                  .compatible_since = 14,
                  .min_inputs = 1,
                  .max_inputs = 2,
                  .min_outputs = 1,
                  .max_outputs = 1,
                  .attributes = kTriluAttributes,
                  .infer = infer_trilu};

const OpDef non_zero{.name = "NonZero",
                     .since = 13,
                     .compatible_since = 9,
                     .min_inputs = 1,
                     .max_inputs = 1,
                     .min_outputs = 1,
                     .max_outputs = 1,
                     .infer = infer_non_zero};

const OpDef one_hot{.name = "OneHot",
                    .since = 28,
                    .compatible_since = 11,
                    .min_inputs = 3,
                    .max_inputs = 3,
                    .min_outputs = 1,
                    .max_outputs = 1,
                    .attributes = kSelectAxis,
                    .infer = infer_one_hot};

const OpDef compress{.name = "Compress",
                     .since = 28,
                     .compatible_since = 11,
                     .min_inputs = 2,
                     .max_inputs = 2,
                     .min_outputs = 1,
                     .max_outputs = 1,
                     .attributes = kSelectAxis,
                     .infer = infer_compress};

}  // namespace tercel::ops
