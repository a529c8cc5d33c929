#include <algorithm>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

const Known& element(const Contents& contents, std::size_t at) {
  return contents[contents.size() == 1 ? 0 : at];
}

void where_contents(InferContext& context, const ir::Dims& result) {
  const auto condition = elements_of(context, 0);
  const auto yes = elements_of(context, 1);
  const auto no = elements_of(context, 2);
  const auto shape = ir::to_shape(result);
  if (!condition || !yes || !no || !shape || shape->size() > 1) return;
  const auto count = static_cast<std::size_t>(element_count(*shape));
  for (const auto* part : {&*condition, &*yes, &*no}) {
    if (part->size() != 1 && part->size() != count) return;
  }
  Contents chosen;
  for (std::size_t i = 0; i < count; ++i) {
    const Known& which = element(*condition, i);
    if (which.is_number())
      chosen.push_back(element(which.number() != 0 ? *yes : *no, i));
    else
      chosen.push_back(element(*yes, i) == element(*no, i) ? element(*yes, i) : Known());
  }
  context.set_contents(0, std::move(chosen));
}

void infer_where(InferContext& context) {
  require_same_dtype(context, 1, 2);
  const Dtype dtype = context.dtype(1) != Dtype::undefined ? context.dtype(1) : context.dtype(2);
  if (context.dtype(0) != Dtype::boolean && context.dtype(0) != Dtype::undefined)
    context.reject("the condition is {}; expected bool", to_string(context.dtype(0)));
  if (context.dims(0) == nullptr || context.dims(1) == nullptr || context.dims(2) == nullptr) {
    context.set_output(0, dtype);
    return;
  }
  ir::Dims result = broadcast(context, *context.dims(1), *context.dims(2));
  result = broadcast(context, *context.dims(0), result);
  if (holds_contents(dtype)) where_contents(context, result);
  context.set_output(0, dtype, std::move(result));
}

}  // namespace

const OpDef where{.name = "Where",
                  .since = 16,
                  .compatible_since = 9,
                  .min_inputs = 3,
                  .max_inputs = 3,
                  .min_outputs = 1,
                  .max_outputs = 1,
                  .infer = infer_where};

}  // namespace tercel::ops
