// AffineGrid and GridSample.
#include <algorithm>
#include <array>

#include "src/ops/image/image.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kAffine[] = {{"align_corners", AttributeKind::integer}};
constexpr AttributeDef kSample[] = {{"align_corners", AttributeKind::integer},
                                    {"mode", AttributeKind::string},
                                    {"padding_mode", AttributeKind::string}};

void infer_affine(InferContext& context) {
  const ir::Dims* theta = context.dims(0);
  const auto size = dims_from(context, 1);
  if (size && size->size() != 4 && size->size() != 5)
    context.reject("size has {} values; expected 4 or 5", size->size());
  if (theta != nullptr && theta->size() != 3)
    context.reject("theta has rank {}; expected 3", theta->size());
  if (!size) {
    context.set_output(0, context.dtype(0));
    return;
  }
  const auto rank = static_cast<int64_t>(size->size()) - 2;
  ir::Dim batch = size->front();
  if (theta != nullptr) {
    batch = same_dim(context, (*theta)[0], batch, "batch of theta and size");
    same_dim(context, (*theta)[1], ir::Dim(rank), "rows of theta");
    same_dim(context, (*theta)[2], ir::Dim(rank + 1), "columns of theta");
  }
  ir::Dims out{batch};
  out.insert(out.end(), size->begin() + 2, size->end());
  out.emplace_back(rank);
  context.set_output(0, context.dtype(0), std::move(out));
}

void check_modes(const InferContext& context) {
  constexpr std::array<std::string_view, 3> kModes{"linear", "nearest", "cubic"};
  constexpr std::array<std::string_view, 3> kPaddings{"zeros", "border", "reflection"};
  const std::string mode = context.node().string_or("mode", "linear");
  const std::string padding = context.node().string_or("padding_mode", "zeros");
  if (std::find(kModes.begin(), kModes.end(), mode) == kModes.end())
    context.reject("mode \"{}\": expected linear, nearest or cubic", mode);
  if (std::find(kPaddings.begin(), kPaddings.end(), padding) == kPaddings.end())
    context.reject("padding_mode \"{}\": expected zeros, border or reflection", padding);
}

void infer_sample(InferContext& context) {
  check_modes(context);
  const ir::Dims* x = context.dims(0);
  const ir::Dims* grid = context.dims(1);
  if (x == nullptr || grid == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  if (x->size() < 3) context.reject("the input has rank {}; expected 3 or more", x->size());
  if (grid->size() != x->size())
    context.reject("the grid has rank {} for an input of rank {}", grid->size(), x->size());
  const auto spatial = static_cast<int64_t>(x->size()) - 2;
  same_dim(context, grid->back(), ir::Dim(spatial), "coordinates of the grid");
  ir::Dims out{same_dim(context, x->front(), grid->front(), "batch of the input and the grid"),
               (*x)[1]};
  out.insert(out.end(), grid->begin() + 1, grid->end() - 1);
  context.set_output(0, context.dtype(0), std::move(out));
}

}  // namespace

constinit const OpDef affine_grid{.name = "AffineGrid",
                                  .since = 20,
                                  .compatible_since = 20,
                                  .min_inputs = 2,
                                  .max_inputs = 2,
                                  .min_outputs = 1,
                                  .max_outputs = 1,
                                  .attributes = kAffine,
                                  .infer = infer_affine};

constinit const OpDef grid_sample{.name = "GridSample",
                                  .since = 22,
                                  .compatible_since = 20,
                                  .min_inputs = 2,
                                  .max_inputs = 2,
                                  .min_outputs = 1,
                                  .max_outputs = 1,
                                  .attributes = kSample,
                                  .infer = infer_sample};

}  // namespace tercel::ops
