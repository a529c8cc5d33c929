#include <algorithm>

#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

// The axes to drop, when they are known.
std::optional<std::vector<int>> squeezed_axes(const InferContext& context, const ir::Dims& dims) {
  if (context.has_input(1)) {
    const auto axes = context.numbers(1);
    if (!axes) return std::nullopt;
    return checked_axes(context, *axes, static_cast<int>(dims.size()));
  }
  std::vector<int> ones;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (!dims[i].known()) return std::nullopt;
    if (dims[i].value() == 1) ones.push_back(static_cast<int>(i));
  }
  return ones;
}

void infer_squeeze(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  const auto axes = dims != nullptr ? squeezed_axes(context, *dims) : std::nullopt;
  if (!axes) {
    context.set_output(0, context.dtype(0));
    return;
  }
  ir::Dims kept;
  for (std::size_t i = 0; i < dims->size(); ++i) {
    if (std::find(axes->begin(), axes->end(), static_cast<int>(i)) == axes->end()) {
      kept.push_back((*dims)[i]);
    } else if ((*dims)[i].known() && (*dims)[i].value() != 1) {
      context.reject("axis {} has {} elements; only dimensions of 1 can be squeezed", i,
                     (*dims)[i].value());
    }
  }
  set_same_elements(context, std::move(kept));
}

void infer_unsqueeze(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  const auto axes = context.numbers(1);
  if (dims == nullptr || !axes) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const auto rank = static_cast<int>(dims->size() + axes->size());
  const std::vector<int> added = checked_axes(context, *axes, rank);
  ir::Dims result;
  auto next = dims->begin();
  for (int i = 0; i < rank; ++i) {
    const bool is_new = std::find(added.begin(), added.end(), i) != added.end();
    result.push_back(is_new ? ir::Dim(1) : *next++);
  }
  set_same_elements(context, std::move(result));
}

void infer_identity(InferContext& context) {
  infer_same_type(context);
  if (const Contents* contents = context.contents(0)) context.set_contents(0, Contents(*contents));
}

}  // namespace

const OpDef squeeze{.name = "Squeeze",
                    .since = 25,
                    .compatible_since = 13,
                    .min_inputs = 1,
                    .max_inputs = 2,
                    .min_outputs = 1,
                    .max_outputs = 1,
                    .infer = infer_squeeze,
                    .view_of_input = true};

const OpDef unsqueeze{.name = "Unsqueeze",
                      .since = 25,
                      .compatible_since = 13,
                      .min_inputs = 2,
                      .max_inputs = 2,
                      .min_outputs = 1,
                      .max_outputs = 1,
                      .infer = infer_unsqueeze,
                      .view_of_input = true};

const OpDef identity{.name = "Identity",
                     .since = 25,
                     .compatible_since = 1,
                     .min_inputs = 1,
                     .max_inputs = 1,
                     .min_outputs = 1,
                     .max_outputs = 1,
                     .infer = infer_identity,
                     .view_of_input = true};

}  // namespace tercel::ops
