#include "src/ops/nn/nn.h"
#include "src/ops/nn/window.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kConv[] = {
    {"auto_pad", AttributeKind::string}, {"dilations", AttributeKind::integers},
    {"group", AttributeKind::integer},   {"kernel_shape", AttributeKind::integers},
    {"pads", AttributeKind::integers},   {"strides", AttributeKind::integers}};
constexpr AttributeDef kTransposed[] = {
    {"auto_pad", AttributeKind::string},         {"dilations", AttributeKind::integers},
    {"group", AttributeKind::integer},           {"kernel_shape", AttributeKind::integers},
    {"output_padding", AttributeKind::integers}, {"output_shape", AttributeKind::integers},
    {"pads", AttributeKind::integers},           {"strides", AttributeKind::integers}};

void check_ranks(const InferContext& context, const ir::Dims& x, const ir::Dims& w) {
  if (x.size() < 3)
    context.reject("the input has rank {}; expected 3 or more (batch, channels, …)", x.size());
  if (w.size() != x.size())
    context.reject("the weight has rank {} for an input of rank {}", w.size(), x.size());
}

void expect_conv(const InferContext& context, const ir::Dim& got, const ir::Dim& wanted,
                 std::string_view what) {
  if (got.known() && wanted.known() && got.value() != wanted.value())
    context.reject("{}: {}; expected {}", what, got.value(), wanted.value());
}

int64_t groups_of(const InferContext& context) {
  const int64_t groups = context.node().int_or("group", 1);
  if (groups < 1) context.reject("group is {}; expected 1 or more", groups);
  return groups;
}

std::vector<int64_t> kernel_of(const ir::Dims& w) {
  std::vector<int64_t> kernel;
  for (std::size_t d = 2; d < w.size(); ++d) kernel.push_back(w[d].value());
  return kernel;
}

void infer_conv(InferContext& context) {
  infer_convolution(context, 1, context.dtype(0));
  require_same_dtype(context, 0, 1);
  if (context.has_input(2)) require_same_dtype(context, 0, 2);
  if (const ir::Dims* w = context.dims(1)) check_bias(context, 2, w->front());
}

void infer_transposed(InferContext& context) {
  require_same_dtype(context, 0, 1);
  if (context.has_input(2)) require_same_dtype(context, 0, 2);
  const ir::Dims* x = context.dims(0);
  const ir::Dims* w = context.dims(1);
  if (x == nullptr || w == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  check_ranks(context, *x, *w);
  const ir::Dim groups(groups_of(context));
  expect_conv(context, (*x)[1], (*w)[0], "channels of the input");
  if ((*w)[0].known() && (*w)[0].value() % groups.value() != 0)
    context.reject("{} channels do not divide into {} groups", (*w)[0].value(), groups.value());
  const Window window = window_of(context.node(), x->size() - 2, kernel_of(*w));
  ir::Dims out{(*x)[0], mul((*w)[1], groups)};
  check_bias(context, 2, out[1]);
  for (std::size_t d = 0; d < window.rank(); ++d) {
    const ir::Dim& size = (*x)[d + 2];
    const bool known = size.known() && window.kernel[d] >= 0;
    out.push_back(known ? ir::Dim(slide_back(context.node(), window, d, size.value()).count)
                        : ir::Dim());
  }
  context.set_output(0, context.dtype(0), std::move(out));
}

}  // namespace

void check_bias(InferContext& context, int index, const ir::Dim& channels) {
  const ir::Dims* bias = context.dims(index);
  if (bias == nullptr) return;
  if (bias->size() != 1) context.reject("the bias has rank {}; expected 1", bias->size());
  const ir::Dim& size = bias->front();
  if (size.known() && channels.known() && size.value() != channels.value())
    context.reject("the bias has {} elements for {} channels", size.value(), channels.value());
}

void infer_convolution(InferContext& context, int weight, Dtype dtype) {
  const ir::Dims* x = context.dims(0);
  const ir::Dims* w = context.dims(weight);
  if (x == nullptr || w == nullptr) {
    context.set_output(0, dtype);
    return;
  }
  check_ranks(context, *x, *w);
  const ir::Dim groups(groups_of(context));
  expect_conv(context, (*x)[1], mul((*w)[1], groups), "channels of the input");
  if ((*w)[0].known() && (*w)[0].value() % groups.value() != 0)
    context.reject("{} channels do not divide into {} groups", (*w)[0].value(), groups.value());
  const Window window = window_of(context.node(), x->size() - 2, kernel_of(*w));
  ir::Dims out{(*x)[0], (*w)[0]};
  for (std::size_t d = 0; d < window.rank(); ++d)
    out.push_back(slid_dim(context.node(), window, d, (*x)[d + 2]));
  context.set_output(0, dtype, std::move(out));
}

constinit const OpDef conv{.name = "Conv",
                           .since = 22,
                           .compatible_since = 11,
                           .min_inputs = 2,
                           .max_inputs = 3,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .attributes = kConv,
                           .infer = infer_conv};

constinit const OpDef conv_transpose{.name = "ConvTranspose",
                                     .since = 22,
                                     .compatible_since = 11,
                                     .min_inputs = 2,
                                     .max_inputs = 3,
                                     .min_outputs = 1,
                                     .max_outputs = 1,
                                     .attributes = kTransposed,
                                     .infer = infer_transposed};

}  // namespace tercel::ops
