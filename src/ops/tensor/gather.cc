#include <algorithm>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kAxis[] = {{"axis", AttributeKind::integer}};
constexpr AttributeDef kBatchDims[] = {{"batch_dims", AttributeKind::integer}};

void require_index_dtype(const InferContext& context) {
  const Dtype dtype = context.dtype(1);
  if (dtype != Dtype::i32 && dtype != Dtype::i64 && dtype != Dtype::undefined)
    context.reject("indices are {}; expected i32 or i64", to_string(dtype));
}

void check_range(const InferContext& context, const ir::Dim& size) {
  const Contents* indices = context.contents(1);
  if (indices == nullptr || !size.known()) return;
  for (const Known& index : *indices) {
    if (index.is_number() && (index.number() < -size.value() || index.number() >= size.value())) {
      context.reject("index {} is out of range for an axis of {} elements", index.number(),
                     size.value());
    }
  }
}

void gather_contents(InferContext& context) {
  const Contents* data = context.contents(0);
  const auto indices = context.numbers(1);
  if (data == nullptr || !indices || context.rank(0) != 1) return;
  const auto size = static_cast<int64_t>(data->size());
  Contents chosen;
  for (const int64_t index : *indices) {
    if (index < -size || index >= size) return;
    chosen.push_back((*data)[static_cast<std::size_t>(index < 0 ? index + size : index)]);
  }
  context.set_contents(0, std::move(chosen));
}

void infer_gather(InferContext& context) {
  require_index_dtype(context);
  const ir::Dims* data = context.dims(0);
  const ir::Dims* indices = context.dims(1);
  if (data == nullptr || indices == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const int axis = context.axis(context.node().int_or("axis", 0), static_cast<int>(data->size()));
  check_range(context, (*data)[static_cast<std::size_t>(axis)]);
  ir::Dims result(data->begin(), data->begin() + axis);
  result.insert(result.end(), indices->begin(), indices->end());
  result.insert(result.end(), data->begin() + axis + 1, data->end());
  gather_contents(context);
  context.set_output(0, context.dtype(0), std::move(result));
}

void infer_gather_elements(InferContext& context) {
  require_index_dtype(context);
  const ir::Dims* data = context.dims(0);
  const ir::Dims* indices = context.dims(1);
  if (data != nullptr) {
    context.axis(context.node().int_or("axis", 0), static_cast<int>(data->size()));
    if (indices != nullptr && data->size() != indices->size())
      context.reject("indices have rank {}, data has {}", indices->size(), data->size());
  }
  if (indices != nullptr)
    context.set_output(0, context.dtype(0), *indices);
  else
    context.set_output(0, context.dtype(0));
}

void infer_gather_nd(InferContext& context) {
  const ir::Dims* data = context.dims(0);
  const ir::Dims* indices = context.dims(1);
  context.set_output(0, context.dtype(0));
  if (data == nullptr || indices == nullptr) return;
  if (data->empty() || indices->empty()) context.reject("data and indices need rank 1 or more");
  const int64_t batch = context.node().int_or("batch_dims", 0);
  const auto rank = static_cast<int64_t>(std::min(data->size(), indices->size()));
  if (batch < 0 || batch >= rank) context.reject("batch_dims {} is out of range", batch);
  for (std::size_t i = 0; i < static_cast<std::size_t>(batch); ++i)
    same_dim(context, (*data)[i], (*indices)[i], "batch dimensions");
  const ir::Dim& depth = indices->back();
  if (!depth.known()) return;
  const int64_t kept = batch + depth.value();
  if (kept > static_cast<int64_t>(data->size()) || depth.value() < 1) {
    context.reject("an index has {} coordinates; data has {} dimensions after the batch",
                   depth.value(), static_cast<int64_t>(data->size()) - batch);
  }
  ir::Dims result(indices->begin(), indices->end() - 1);
  result.insert(result.end(), data->begin() + kept, data->end());
  context.set_output(0, context.dtype(0), std::move(result));
}

}  // namespace

const OpDef gather{.name = "Gather",
                   .since = 13,
                   .compatible_since = 11,
                   .min_inputs = 2,
                   .max_inputs = 2,
                   .min_outputs = 1,
                   .max_outputs = 1,
                   .attributes = kAxis,
                   .infer = infer_gather};

const OpDef gather_elements{.name = "GatherElements",
                            .since = 13,
                            .compatible_since = 11,
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .attributes = kAxis,
                            .infer = infer_gather_elements};

const OpDef gather_nd{.name = "GatherND",
                      .since = 13,
                      .compatible_since = 12,
                      .min_inputs = 2,
                      .max_inputs = 2,
                      .min_outputs = 1,
                      .max_outputs = 1,
                      .attributes = kBatchDims,
                      .infer = infer_gather_nd};

}  // namespace tercel::ops
