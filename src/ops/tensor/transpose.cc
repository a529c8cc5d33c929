#include <algorithm>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kTransposeAttributes[] = {{"perm", AttributeKind::integers}};

void infer_transpose(InferContext& context) {
  const auto perm = context.node().ints_or("perm", {});
  const ir::Dims* dims = context.dims(0);
  if (dims == nullptr) {
    if (perm.empty())
      context.set_output(0, context.dtype(0));
    else
      context.set_output(0, context.dtype(0), ir::Dims(perm.size()));
    return;
  }
  ir::Dims result(dims->rbegin(), dims->rend());
  if (!perm.empty()) {
    if (perm.size() != dims->size())
      context.reject("perm has {} axes; the input has rank {}", perm.size(), dims->size());
    const std::vector<int> axes = checked_axes(context, perm, static_cast<int>(dims->size()));
    for (std::size_t i = 0; i < axes.size(); ++i)
      result[i] = (*dims)[static_cast<std::size_t>(axes[i])];
  }
  set_same_elements(context, std::move(result));
}

}  // namespace

const OpDef transpose{.name = "Transpose",
                      .since = 25,
                      .compatible_since = 1,
                      .min_inputs = 1,
                      .max_inputs = 1,
                      .min_outputs = 1,
                      .max_outputs = 1,
                      .attributes = kTransposeAttributes,
                      .infer = infer_transpose};

}  // namespace tercel::ops
