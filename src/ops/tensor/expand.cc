#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

// Contents of `times` copies of input 0, one after the other.
void repeat_contents(InferContext& context, const ir::Dims& result, int64_t times) {
  const Contents* contents = context.contents(0);
  if (contents == nullptr || result.size() > 1 || times < 0) return;
  if (times > kMaxContents || static_cast<int64_t>(contents->size()) * times > kMaxContents) return;
  Contents repeated;
  for (int64_t i = 0; i < times; ++i)
    repeated.insert(repeated.end(), contents->begin(), contents->end());
  context.set_contents(0, std::move(repeated));
}

void infer_expand(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  const auto target = dims_from(context, 1);
  if (dims == nullptr || !target) {
    context.set_output(0, context.dtype(0));
    return;
  }
  ir::Dims result = broadcast(context, *dims, *target);
  const auto from = ir::to_shape(*dims);
  const auto to = ir::to_shape(result);
  if (from && to && element_count(*from) > 0)
    repeat_contents(context, result, element_count(*to) / element_count(*from));
  context.set_output(0, context.dtype(0), std::move(result));
}

void infer_tile(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  if (dims == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const auto repeats = elements_of(context, 1);
  if (repeats && repeats->size() != dims->size())
    context.reject("{} repeats for an input of rank {}", repeats->size(), dims->size());
  ir::Dims result(dims->size());
  for (std::size_t i = 0; repeats && i < dims->size(); ++i) {
    const Known& times = (*repeats)[i];
    if (times.is_number() && times.number() < 0)
      context.reject("repeat {} is negative", times.number());
    result[i] = mul((*dims)[i], times.dim());
  }
  if (repeats && repeats->size() <= 1) {
    const Known times = repeats->empty() ? Known(1) : repeats->front();
    repeat_contents(context, result, times.is_number() ? times.number() : -1);
  }
  context.set_output(0, context.dtype(0), std::move(result));
}

}  // namespace

const OpDef expand{.name = "Expand",
                   .since = 13,
                   .compatible_since = 8,
                   .min_inputs = 2,
                   .max_inputs = 2,
                   .min_outputs = 1,
                   .max_outputs = 1,
                   .infer = infer_expand};

const OpDef tile{.name = "Tile",
                 .since = 13,
                 .compatible_since = 6,
                 .min_inputs = 2,
                 .max_inputs = 2,
                 .min_outputs = 1,
                 .max_outputs = 1,
                 .infer = infer_tile};

}  // namespace tercel::ops
