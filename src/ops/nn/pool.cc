#include "src/ops/nn/nn.h"
#include "src/ops/nn/window.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kGlobalLp[] = {{"p", AttributeKind::integer}};
constexpr AttributeDef kMax[] = {
    {"auto_pad", AttributeKind::string},    {"ceil_mode", AttributeKind::integer},
    {"dilations", AttributeKind::integers}, {"kernel_shape", AttributeKind::integers, true},
    {"pads", AttributeKind::integers},      {"storage_order", AttributeKind::integer},
    {"strides", AttributeKind::integers}};
constexpr AttributeDef kAverage[] = {
    {"auto_pad", AttributeKind::string},    {"ceil_mode", AttributeKind::integer},
    {"dilations", AttributeKind::integers}, {"kernel_shape", AttributeKind::integers, true},
    {"pads", AttributeKind::integers},      {"count_include_pad", AttributeKind::integer},
    {"strides", AttributeKind::integers}};
constexpr AttributeDef kLp[] = {
    {"auto_pad", AttributeKind::string},    {"ceil_mode", AttributeKind::integer},
    {"dilations", AttributeKind::integers}, {"kernel_shape", AttributeKind::integers, true},
    {"pads", AttributeKind::integers},      {"p", AttributeKind::integer},
    {"strides", AttributeKind::integers}};
constexpr AttributeDef kUnpool[] = {{"kernel_shape", AttributeKind::integers, true},
                                    {"pads", AttributeKind::integers},
                                    {"strides", AttributeKind::integers}};

void infer_global(InferContext& context) {
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  if (x->size() < 2) context.reject("the input has rank {}; expected 2 or more", x->size());
  ir::Dims out(x->size(), ir::Dim(1));
  out[0] = (*x)[0];
  out[1] = (*x)[1];
  context.set_output(0, context.dtype(0), std::move(out));
}

void infer_pool(InferContext& context) {
  if (context.node().int_or("p", 2) < 1)
    context.reject("p is {}; expected 1 or more", context.node().int_or("p", 2));
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, context.dtype(0));
    context.set_output(1, Dtype::i64);
    return;
  }
  if (x->size() < 3)
    context.reject("the input has rank {}; expected 3 or more (batch, channels, …)", x->size());
  const Window window = window_of(context.node(), x->size() - 2);
  ir::Dims out{(*x)[0], (*x)[1]};
  for (std::size_t d = 0; d < window.rank(); ++d)
    out.push_back(slid_dim(context.node(), window, d, (*x)[d + 2]));
  context.set_output(0, context.dtype(0), out);
  context.set_output(1, Dtype::i64, std::move(out));
}

void infer_unpool(InferContext& context) {
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, context.dtype(0));
    return;
  }
  if (x->size() < 3)
    context.reject("the input has rank {}; expected 3 or more (batch, channels, …)", x->size());
  const Window window = window_of(context.node(), x->size() - 2);
  ir::Dims out{(*x)[0], (*x)[1]};
  for (std::size_t d = 0; d < window.rank(); ++d) {
    const ir::Dim& size = (*x)[d + 2];
    out.push_back(size.known() ? ir::Dim(slide_back(context.node(), window, d, size.value()).count)
                               : ir::Dim());
  }
  if (context.has_input(2)) {
    const auto shape = context.numbers(2);
    if (shape && shape->size() != x->size())
      context.reject("output_shape has {} values; expected {}", shape->size(), x->size());
    for (std::size_t d = 0; d < out.size(); ++d) {
      if (shape && ((*shape)[d] < 0 || (out[d].known() && (*shape)[d] < out[d].value())))
        context.reject("output_shape has {} for a dimension of at least {}", (*shape)[d],
                       out[d].known() ? out[d].value() : 0);
      out[d] = shape ? ir::Dim((*shape)[d]) : ir::Dim();
    }
  }
  context.set_output(0, context.dtype(0), std::move(out));
}

constexpr OpDef pool(std::string_view name, int since, int compatible_since,
                     std::span<const AttributeDef> attributes, int outputs = 1,
                     void (*rule)(InferContext&) = infer_pool) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = 1,
          .max_inputs = 1,
          .min_outputs = 1,
          .max_outputs = outputs,
          .attributes = attributes,
          .infer = rule};
}

}  // namespace

constinit const OpDef average_pool = pool("AveragePool", 22, 19, kAverage);
constinit const OpDef global_average_pool = pool("GlobalAveragePool", 22, 1, {}, 1, infer_global);
constinit const OpDef global_lp_pool = pool("GlobalLpPool", 22, 2, kGlobalLp, 1, infer_global);
constinit const OpDef global_max_pool = pool("GlobalMaxPool", 22, 1, {}, 1, infer_global);
constinit const OpDef lp_pool = pool("LpPool", 22, 18, kLp);
constinit const OpDef max_pool = pool("MaxPool", 22, 12, kMax, 2);
constinit const OpDef max_unpool{.name = "MaxUnpool",
                                 .since = 22,
                                 .compatible_since = 11,
                                 .min_inputs = 2,
                                 .max_inputs = 3,
                                 .min_outputs = 1,
                                 .max_outputs = 1,
                                 .attributes = kUnpool,
                                 .infer = infer_unpool};

}  // namespace tercel::ops
