// RoiAlign, MaxRoiPool, NonMaxSuppression.
#include "src/ops/image/image.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kAlign[] = {{"coordinate_transformation_mode", AttributeKind::string},
                                   {"mode", AttributeKind::string},
                                   {"output_height", AttributeKind::integer},
                                   {"output_width", AttributeKind::integer},
                                   {"sampling_ratio", AttributeKind::integer},
                                   {"spatial_scale", AttributeKind::number}};
constexpr AttributeDef kPool[] = {{"pooled_shape", AttributeKind::integers, true},
                                  {"spatial_scale", AttributeKind::number}};
constexpr AttributeDef kSuppression[] = {{"center_point_box", AttributeKind::integer}};

void expect_rank(const InferContext& context, int index, int wanted) {
  const auto rank = context.rank(index);
  if (rank && *rank != wanted)
    context.reject("input {} has rank {}; expected {}", index, *rank, wanted);
}

// [regions, channels, height, width], regions `columns` wide.
void infer_regions(InferContext& context, int64_t columns, int64_t height, int64_t width) {
  if (height < 1 || width < 1)
    context.reject("the output of a region is {}x{}; expected 1x1 or more", height, width);
  expect_rank(context, 0, 4);
  expect_rank(context, 1, 2);
  ir::Dim regions;
  ir::Dim channels;
  if (const ir::Dims* rois = context.dims(1)) {
    regions = rois->front();
    same_dim(context, rois->back(), ir::Dim(columns), "columns of the regions");
  }
  if (const ir::Dims* indices = context.dims(2)) {
    expect_rank(context, 2, 1);
    regions = same_dim(context, regions, indices->front(), "regions and batch indices");
  }
  if (const ir::Dims* x = context.dims(0)) channels = (*x)[1];
  context.set_output(0, context.dtype(0), {regions, channels, ir::Dim(height), ir::Dim(width)});
}

void infer_align(InferContext& context) {
  const ir::Node& node = context.node();
  const std::string mode = node.string_or("mode", "avg");
  if (mode != "avg" && mode != "max") context.reject("mode \"{}\": expected avg or max", mode);
  const std::string how = node.string_or("coordinate_transformation_mode", "half_pixel");
  if (how != "half_pixel" && how != "output_half_pixel") {
    context.reject(
        "coordinate_transformation_mode \"{}\": expected half_pixel or output_half_pixel", how);
  }
  if (node.int_or("sampling_ratio", 0) < 0) context.reject("sampling_ratio is negative");
  infer_regions(context, 4, node.int_or("output_height", 1), node.int_or("output_width", 1));
}

void infer_pool_regions(InferContext& context) {
  const auto shape = context.node().ints_or("pooled_shape", {});
  if (shape.size() != 2) context.reject("pooled_shape has {} values; expected 2", shape.size());
  infer_regions(context, 5, shape[0], shape[1]);
}

void infer_suppression(InferContext& context) {
  expect_rank(context, 0, 3);
  expect_rank(context, 1, 3);
  const ir::Dims* boxes = context.dims(0);
  const ir::Dims* scores = context.dims(1);
  if (boxes != nullptr) same_dim(context, boxes->back(), ir::Dim(4), "coordinates of a box");
  if (boxes != nullptr && scores != nullptr) {
    same_dim(context, (*boxes)[0], (*scores)[0], "batch of boxes and scores");
    same_dim(context, (*boxes)[1], (*scores)[2], "boxes and scores");
  }
  context.set_output(0, Dtype::i64, {ir::Dim(), ir::Dim(3)});
}

}  // namespace

constinit const OpDef max_roi_pool{.name = "MaxRoiPool",
                                   .since = 22,
                                   .compatible_since = 1,
                                   .min_inputs = 2,
                                   .max_inputs = 2,
                                   .min_outputs = 1,
                                   .max_outputs = 1,
                                   .attributes = kPool,
                                   .infer = infer_pool_regions};

constinit const OpDef non_max_suppression{.name = "NonMaxSuppression",
                                          .since = 11,
                                          .compatible_since = 10,
                                          .min_inputs = 2,
                                          .max_inputs = 5,
                                          .min_outputs = 1,
                                          .max_outputs = 1,
                                          .attributes = kSuppression,
                                          .infer = infer_suppression};

constinit const OpDef roi_align{.name = "RoiAlign",
                                .since = 22,
                                .compatible_since = 16,
                                .min_inputs = 3,
                                .max_inputs = 3,
                                .min_outputs = 1,
                                .max_outputs = 1,
                                .attributes = kAlign,
                                .infer = infer_align};

}  // namespace tercel::ops
