#include "src/ops/nn/nn.h"
#include "src/ops/nn/window.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kDeformConvAttributes[] = {
    {"dilations", AttributeKind::integers},    {"group", AttributeKind::integer},
    {"kernel_shape", AttributeKind::integers}, {"offset_group", AttributeKind::integer},
    {"pads", AttributeKind::integers},         {"strides", AttributeKind::integers}};

// Input `index` is [batch, per_position, out height, out width].
void check_positions(InferContext& context, int index, const ir::Dims& out,
                     const ir::Dim& per_position) {
  const ir::Dims* dims = context.dims(index);
  if (dims == nullptr) return;
  if (dims->size() != 4) context.reject("input {} has rank {}; expected 4", index, dims->size());
  same_dim(context, (*dims)[0], out[0], "batch of the offsets");
  same_dim(context, (*dims)[1], per_position, "offsets of a position");
  same_dim(context, (*dims)[2], out[2], "height of the offsets");
  same_dim(context, (*dims)[3], out[3], "width of the offsets");
}

void infer_deform_conv(InferContext& context) {
  for (int i = 1; i < 5; ++i) {
    if (context.has_input(i)) require_same_dtype(context, 0, i);
  }
  infer_convolution(context, 1, context.dtype(0));
  const ir::Dims* x = context.dims(0);
  const ir::Dims* w = context.dims(1);
  if (x == nullptr || w == nullptr) return;
  if (x->size() != 4) context.reject("the input has rank {}; only 4 is supported", x->size());
  const int64_t groups = context.node().int_or("offset_group", 1);
  if (groups < 1 || ((*x)[1].known() && (*x)[1].value() % groups != 0))
    context.reject("the channels do not divide into {} offset groups", groups);
  const Window window = window_of(context.node(), 2, {(*w)[2].value(), (*w)[3].value()});
  const ir::Dims out{(*x)[0], (*w)[0], slid_dim(context.node(), window, 0, (*x)[2]),
                     slid_dim(context.node(), window, 1, (*x)[3])};
  const ir::Dim taps = mul(mul((*w)[2], (*w)[3]), ir::Dim(groups));
  check_positions(context, 2, out, mul(taps, ir::Dim(2)));
  check_positions(context, 4, out, taps);
  if (const ir::Dims* bias = context.dims(3)) {
    if (bias->size() != 1) context.reject("the bias has rank {}; expected 1", bias->size());
    same_dim(context, bias->front(), (*w)[0], "bias and channels");
  }
}

}  // namespace

constinit const OpDef deform_conv{.name = "DeformConv",
                                  .since = 22,
                                  .compatible_since = 19,
                                  .min_inputs = 3,
                                  .max_inputs = 5,
                                  .min_outputs = 1,
                                  .max_outputs = 1,
                                  .attributes = kDeformConvAttributes,
                                  .infer = infer_deform_conv};

}  // namespace tercel::ops
