#include <numeric>

#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kCenterCropPadAttributes[] = {{"axes", AttributeKind::integers}};

void infer_center_crop_pad(InferContext& context) {
  const ir::Dims* dims = context.dims(0);
  if (dims == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  std::vector<int64_t> all(dims->size());
  std::iota(all.begin(), all.end(), 0);
  const auto axes =
      checked_axes(context, context.node().ints_or("axes", all), static_cast<int>(dims->size()));
  const auto sizes = dims_from(context, 1);
  if (sizes && sizes->size() != axes.size())
    context.reject("shape has {} values for {} axes", sizes->size(), axes.size());
  ir::Dims out = *dims;
  for (std::size_t i = 0; i < axes.size(); ++i)
    out[static_cast<std::size_t>(axes[i])] = sizes ? (*sizes)[i] : ir::Dim();
  context.set_output(0, context.dtype(0), std::move(out));
}

}  // namespace

const OpDef center_crop_pad{.name = "CenterCropPad",
                            .since = 18,
                            .compatible_since = 18,
                            .min_inputs = 2,
                            .max_inputs = 2,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .attributes = kCenterCropPadAttributes,
                            .infer = infer_center_crop_pad};

}  // namespace tercel::ops
