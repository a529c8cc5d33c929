#include <algorithm>
#include <array>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kElementsAttributes[] = {{"axis", AttributeKind::integer},
                                                {"reduction", AttributeKind::string}};
constexpr AttributeDef kNdAttributes[] = {{"reduction", AttributeKind::string}};

void check_reduction(const InferContext& context) {
  constexpr std::array<std::string_view, 5> kReductions{"none", "add", "mul", "max", "min"};
  const std::string given = context.node().string_or("reduction", "none");
  if (std::find(kReductions.begin(), kReductions.end(), given) == kReductions.end())
    context.reject("reduction \"{}\": expected none, add, mul, max or min", given);
}

void infer_elements(InferContext& context) {
  check_reduction(context);
  require_same_dtype(context, 0, 2);
  const ir::Dims* data = context.dims(0);
  const ir::Dims* indices = context.dims(1);
  const ir::Dims* updates = context.dims(2);
  if (data != nullptr) {
    context.axis(context.node().int_or("axis", 0), static_cast<int>(data->size()));
    if (indices != nullptr && indices->size() != data->size())
      context.reject("indices have rank {}, data has {}", indices->size(), data->size());
  }
  if (indices != nullptr && updates != nullptr) {
    if (indices->size() != updates->size())
      context.reject("indices have rank {}, updates {}", indices->size(), updates->size());
    for (std::size_t i = 0; i < indices->size(); ++i)
      same_dim(context, (*indices)[i], (*updates)[i], "dimensions of indices and updates");
  }
  infer_same_type(context);
}

void infer_nd(InferContext& context) {
  check_reduction(context);
  require_same_dtype(context, 0, 2);
  infer_same_type(context);
  const ir::Dims* data = context.dims(0);
  const ir::Dims* indices = context.dims(1);
  const ir::Dims* updates = context.dims(2);
  if (data == nullptr || indices == nullptr || updates == nullptr) return;
  if (data->empty() || indices->empty()) context.reject("data and indices need rank 1 or more");
  if (!indices->back().known()) return;
  const int64_t depth = indices->back().value();
  if (depth > static_cast<int64_t>(data->size()))
    context.reject("an index has {} coordinates; data has rank {}", depth, data->size());
  ir::Dims expected(indices->begin(), indices->end() - 1);
  expected.insert(expected.end(), data->begin() + depth, data->end());
  if (expected.size() != updates->size())
    context.reject("updates have rank {}; expected {}", updates->size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i)
    same_dim(context, expected[i], (*updates)[i], "dimensions of updates");
}

}  // namespace

const OpDef scatter_elements{.name = "ScatterElements",
                             .since = 18,
                             .compatible_since = 18,
                             .min_inputs = 3,
                             .max_inputs = 3,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attributes = kElementsAttributes,
                             .infer = infer_elements};

const OpDef scatter_nd{.name = "ScatterND",
                       .since = 18,
                       .compatible_since = 18,
                       .min_inputs = 3,
                       .max_inputs = 3,
                       .min_outputs = 1,
                       .max_outputs = 1,
                       .attributes = kNdAttributes,
                       .infer = infer_nd};

}  // namespace tercel::ops
