#include "src/ops/contents.h"
#include "src/ops/reduction/reduction.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kReduceAttributes[] = {{"keepdims", AttributeKind::integer},
                                              {"noop_with_empty_axes", AttributeKind::integer}};

// The axes, which may be empty; nothing when they are not known.
std::optional<std::vector<int64_t>> axes_of_reduce(InferContext& context) {
  if (!context.has_input(1)) return std::vector<int64_t>{};
  return context.numbers(1);
}

void infer_unknown_axes(InferContext& context, const ir::Dims& data, bool keep) {
  const ir::Dims* axes = context.dims(1);
  if (keep) {
    context.set_output(0, context.dtype(0), ir::Dims(data.size()));
  } else if (axes != nullptr && axes->size() == 1 && axes->front().known() &&
             axes->front().value() > 0 &&
             axes->front().value() <= static_cast<int64_t>(data.size())) {
    const auto removed = static_cast<std::size_t>(axes->front().value());
    context.set_output(0, context.dtype(0), ir::Dims(data.size() - removed));
  } else {
    context.set_output(0, context.dtype(0));
  }
}

void infer_reduce(InferContext& context) {
  const bool keep = context.node().int_or("keepdims", 1) != 0;
  const ir::Dims* data = context.dims(0);
  const auto axes = axes_of_reduce(context);
  if (data == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  if (!axes) {
    infer_unknown_axes(context, *data, keep);
    return;
  }
  if (axes->empty() && context.node().int_or("noop_with_empty_axes", 0) != 0) {
    infer_same_type(context);
    return;
  }
  std::vector<bool> reduced(data->size(), axes->empty());
  for (const int64_t axis : *axes)
    reduced[static_cast<std::size_t>(context.axis(axis, static_cast<int>(data->size())))] = true;
  ir::Dims out;
  for (std::size_t i = 0; i < data->size(); ++i) {
    if (!reduced[i])
      out.push_back((*data)[i]);
    else if (keep)
      out.emplace_back(1);
  }
  context.set_output(0, context.dtype(0), std::move(out));
}

// The number of elements of a shape is its product.
template <KnownFunction kFunction>
void infer_followed_reduce(InferContext& context) {
  infer_reduce(context);
  const Contents* data = context.contents(0);
  const auto axes = axes_of_reduce(context);
  if (data == nullptr || data->empty() || context.rank(0) != 1 || !axes) return;
  if (axes->empty() && context.node().int_or("noop_with_empty_axes", 0) != 0) return;
  Known result = data->front();
  for (std::size_t i = 1; i < data->size(); ++i) result = kFunction(result, (*data)[i]);
  context.set_contents(0, {result});
}

constexpr OpDef reduction(std::string_view name, int since, int compatible_since,
                          void (*rule)(InferContext&) = infer_reduce) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = 1,
          .max_inputs = 2,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = kReduceAttributes,
          .infer = rule};
}

}  // namespace

constinit const OpDef reduce_l1 = reduction("ReduceL1", 18, 18);
constinit const OpDef reduce_l2 = reduction("ReduceL2", 18, 18);
constinit const OpDef reduce_log_sum = reduction("ReduceLogSum", 28, 18);
constinit const OpDef reduce_log_sum_exp = reduction("ReduceLogSumExp", 28, 18);
constinit const OpDef reduce_max = reduction("ReduceMax", 20, 18, infer_followed_reduce<known_max>);
constinit const OpDef reduce_mean = reduction("ReduceMean", 18, 18);
constinit const OpDef reduce_min = reduction("ReduceMin", 20, 18, infer_followed_reduce<known_min>);
constinit const OpDef reduce_prod =
    reduction("ReduceProd", 18, 18, infer_followed_reduce<known_mul>);
constinit const OpDef reduce_sum = reduction("ReduceSum", 13, 13, infer_followed_reduce<known_add>);
constinit const OpDef reduce_sum_square = reduction("ReduceSumSquare", 18, 18);

}  // namespace tercel::ops
