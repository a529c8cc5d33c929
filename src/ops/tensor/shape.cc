#include <algorithm>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kShapeAttributes[] = {{"start", AttributeKind::integer},
                                             {"end", AttributeKind::integer}};

void infer_shape(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  if (dims == nullptr) {
    context.set_output(0, Dtype::i64, {ir::Dim()});
    return;
  }
  const auto rank = static_cast<int64_t>(dims->size());
  const auto position = [&](std::string_view name, int64_t otherwise) {
    const int64_t at = context.node().int_or(name, otherwise);
    return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const int64_t start = position("start", 0);
  const int64_t end = std::max(position("end", rank), start);
  Contents contents;
  for (int64_t i = start; i < end; ++i) contents.emplace_back((*dims)[static_cast<std::size_t>(i)]);
  context.set_output(0, Dtype::i64, {ir::Dim(end - start)});
  context.set_contents(0, std::move(contents));
}

void infer_size(InferContext& context) {
  context.set_output(0, Dtype::i64, ir::Dims{});
  const ir::Dims* dims = context.dims(0);
  if (dims == nullptr) return;
  ir::Dim count = 1;
  for (const ir::Dim& dim : *dims) count = mul(count, dim);
  context.set_contents(0, {Known(count)});
}

}  // namespace

const OpDef shape{.name = "Shape",
                  .since = 25,
                  .compatible_since = 15,
                  .min_inputs = 1,
                  .max_inputs = 1,
                  .min_outputs = 1,
                  .max_outputs = 1,
                  .attributes = kShapeAttributes,
                  .infer = infer_shape};

const OpDef size{.name = "Size",
                 .since = 25,
                 .compatible_since = 1,
                 .min_inputs = 1,
                 .max_inputs = 1,
                 .min_outputs = 1,
                 .max_outputs = 1,
                 .infer = infer_size};

}  // namespace tercel::ops
