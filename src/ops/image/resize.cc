#include "src/ops/image/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "src/ops/image/image.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kResizeAttributes[] = {
    {"antialias", AttributeKind::integer},
    {"axes", AttributeKind::integers},
    {"coordinate_transformation_mode", AttributeKind::string},
    {"cubic_coeff_a", AttributeKind::number},
    {"exclude_outside", AttributeKind::integer},
    {"extrapolation_value", AttributeKind::number},
    {"keep_aspect_ratio_policy", AttributeKind::string},
    {"mode", AttributeKind::string},
    {"nearest_mode", AttributeKind::string}};

template <std::size_t N>
void expect_one_of(const InferContext& context, std::string_view attribute,
                   std::string_view standard, const std::array<std::string_view, N>& allowed) {
  const std::string given = context.node().string_or(attribute, standard);
  if (std::find(allowed.begin(), allowed.end(), given) == allowed.end())
    context.reject("{} \"{}\" is not known", attribute, given);
}

void check_modes_resize(const InferContext& context) {
  expect_one_of<3>(context, "mode", "nearest", {"nearest", "linear", "cubic"});
  expect_one_of<4>(context, "nearest_mode", "round_prefer_floor",
                   {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  expect_one_of<3>(context, "keep_aspect_ratio_policy", "stretch",
                   {"stretch", "not_larger", "not_smaller"});
  // The last is gone since opset 13, but exporters go on writing it.
  expect_one_of<7>(context, "coordinate_transformation_mode", "half_pixel",
                   {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
                    "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn"});
}

// An input that is left out may be an empty tensor.
bool given(const InferContext& context, int index) {
  const ir::Dims* dims = context.dims(index);
  const bool empty = dims != nullptr && dims->size() == 1 && dims->front() == ir::Dim(0);
  return context.has_input(index) && !empty;
}

std::vector<int64_t> axes_of(const ir::Node& node, std::size_t rank) {
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  return node.ints_or("axes", axes);
}

int64_t scaled(const ir::Node& node, int64_t size, float scale) {
  if (!(scale > 0)) fail(Errc::invalid_file, "{} scale {} is not positive", node.label(), scale);
  const float result = std::floor(static_cast<float>(size) * scale);
  if (!(result < 0x1p62F))
    fail(Errc::invalid_file, "{} scale {} of {} elements is too much", node.label(), scale, size);
  return static_cast<int64_t>(result);
}

void infer_resize(InferContext& context) {
  check_modes_resize(context);
  const bool by_scales = given(context, 2);
  const bool by_sizes = given(context, 3);
  if (by_scales == by_sizes)
    context.reject("needs either scales or sizes; it has {}", by_scales ? "both" : "neither");
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  ir::Dims out = *x;
  const auto axes =
      checked_axes(context, axes_of(context.node(), x->size()), static_cast<int>(x->size()));
  const auto shape = ir::to_shape(*x);
  const auto sizes = by_sizes ? context.numbers(3) : std::nullopt;
  const Tensor* scales = by_scales ? context.constant(2) : nullptr;
  if (shape && (sizes || scales != nullptr)) {
    std::vector<float> factors;
    if (scales != nullptr)
      factors.assign(scales->values<float>().begin(), scales->values<float>().end());
    for (const ResizedAxis& axis :
         resized_axes(context.node(), *shape, scales != nullptr ? &factors : nullptr,
                      sizes ? &*sizes : nullptr))
      out[axis.axis] = axis.size;
  } else {
    const bool stretch =
        context.node().string_or("keep_aspect_ratio_policy", "stretch") == "stretch";
    for (std::size_t i = 0; i < axes.size(); ++i) {
      ir::Dim& dim = out[static_cast<std::size_t>(axes[i])];
      if (scales != nullptr && static_cast<std::size_t>(scales->size()) > i) {
        const float scale = scales->values<float>()[i];
        // A dimension that is not scaled keeps its symbol.
        if (scale != 1.0F)
          dim = dim.known() ? scaled(context.node(), dim.value(), scale) : ir::Dim();
      } else {
        dim = sizes && stretch && i < sizes->size() ? ir::Dim((*sizes)[i]) : ir::Dim();
      }
    }
  }
  context.set_output(0, context.dtype(0), std::move(out));
}

}  // namespace

std::vector<ResizedAxis> resized_axes(const ir::Node& node, const Shape& in,
                                      const std::vector<float>* scales,
                                      const std::vector<int64_t>* sizes) {
  const auto axes = axes_of(node, in.size());
  const std::size_t count = scales != nullptr ? scales->size() : sizes->size();
  if (count != axes.size()) {
    fail(Errc::invalid_file, "{} has {} {} for {} axes", node.label(), count,
         scales != nullptr ? "scales" : "sizes", axes.size());
  }
  std::vector<ResizedAxis> result;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis =
        static_cast<std::size_t>(axes[i] < 0 ? axes[i] + static_cast<int64_t>(in.size()) : axes[i]);
    if (scales != nullptr) {
      result.push_back(
          {axis, static_cast<double>((*scales)[i]), scaled(node, in[axis], (*scales)[i])});
      continue;
    }
    if ((*sizes)[i] < 0)
      fail(Errc::invalid_file, "{} size {} is negative", node.label(), (*sizes)[i]);
    result.push_back(
        {axis,
         static_cast<double>((*sizes)[i]) / static_cast<double>(std::max<int64_t>(in[axis], 1)),
         (*sizes)[i]});
  }
  const std::string policy = node.string_or("keep_aspect_ratio_policy", "stretch");
  if (policy == "stretch" || scales != nullptr || result.empty()) return result;
  const auto by_scale = [](const ResizedAxis& a, const ResizedAxis& b) {
    return a.scale < b.scale;
  };
  const double scale =
      (policy == "not_larger" ? std::min_element(result.begin(), result.end(), by_scale)
                              : std::max_element(result.begin(), result.end(), by_scale))
          ->scale;
  for (ResizedAxis& axis : result) {
    const double size = std::floor(scale * static_cast<double>(in[axis.axis]) + 0.5);
    if (!(size < 0x1p62)) fail(Errc::invalid_file, "{} the sizes are too great", node.label());
    axis.scale = scale;
    axis.size = static_cast<int64_t>(size);
  }
  return result;
}

constinit const OpDef resize{.name = "Resize",
                             .since = 19,
                             .compatible_since = 19,
                             .min_inputs = 1,
                             .max_inputs = 4,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attributes = kResizeAttributes,
                             .infer = infer_resize};

}  // namespace tercel::ops
