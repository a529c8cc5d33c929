// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear.
#include "src/ops/quantization/quantization.h"
#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kQuantize[] = {{"axis", AttributeKind::integer},
                                      {"block_size", AttributeKind::integer},
                                      {"output_dtype", AttributeKind::integer},
                                      {"precision", AttributeKind::integer},
                                      {"saturate", AttributeKind::integer}};
constexpr AttributeDef kDequantize[] = {{"axis", AttributeKind::integer},
                                        {"block_size", AttributeKind::integer},
                                        {"output_dtype", AttributeKind::integer}};

// A scale is one, one for each index of the axis, or one for each block along it.
void check_scale(const InferContext& context, int index) {
  const ir::Dims* x = context.dims(0);
  const ir::Dims* scale = context.dims(index);
  const int64_t block = context.node().int_or("block_size", 0);
  if (block < 0) context.reject("block_size is {}; expected 0 or more", block);
  if (x == nullptr || scale == nullptr) return;
  const auto rank = static_cast<int>(x->size());
  const int64_t axis = context.node().int_or("axis", 1);
  if (block > 0) {
    if (scale->size() != x->size())
      context.reject("input {} has rank {}; blocks need that of the input, {}", index,
                     scale->size(), rank);
    const auto at = static_cast<std::size_t>(context.axis(axis, rank));
    for (std::size_t d = 0; d < x->size(); ++d) {
      ir::Dim wanted = (*x)[d];
      if (d == at && wanted.known())
        wanted = wanted.value() / block + (wanted.value() % block != 0 ? 1 : 0);
      else if (d == at)
        wanted = ir::Dim();
      same_dim(context, (*scale)[d], wanted, "blocks of the input and the scale");
    }
    return;
  }
  if (scale->size() > 1)
    context.reject("input {} has rank {}; expected 0 or 1 without blocks", index, scale->size());
  if (scale->empty() || scale->front() == ir::Dim(1)) return;
  same_dim(context, scale->front(), (*x)[static_cast<std::size_t>(context.axis(axis, rank))],
           "elements of the scale and of the axis");
}

void set_like_input(InferContext& context, int output, Dtype dtype) {
  if (const ir::Dims* dims = context.dims(0))
    context.set_output(output, dtype, *dims);
  else
    context.set_output(output, dtype);
}

void infer_quantize(InferContext& context) {
  check_scale(context, 1);
  check_scale(context, 2);
  const auto named = static_cast<Dtype>(context.node().int_or("output_dtype", 0));
  const Dtype zero = context.has_input(2) ? context.dtype(2) : Dtype::undefined;
  if (named != Dtype::undefined && zero != Dtype::undefined && named != zero)
    context.reject("output_dtype is {}, the zero point has {}", to_string(named), to_string(zero));
  Dtype out = named != Dtype::undefined ? named : zero;
  if (!context.has_input(2) && out == Dtype::undefined) out = Dtype::u8;
  set_like_input(context, 0, out);
}

void infer_dequantize(InferContext& context) {
  check_scale(context, 1);
  check_scale(context, 2);
  if (context.has_input(2)) require_same_dtype(context, 0, 2);
  const auto named = static_cast<Dtype>(context.node().int_or("output_dtype", 0));
  set_like_input(context, 0, named != Dtype::undefined ? named : context.dtype(1));
}

void infer_dynamic(InferContext& context) {
  set_like_input(context, 0, Dtype::u8);
  context.set_output(1, Dtype::f32, {});
  context.set_output(2, Dtype::u8, {});
}

}  // namespace

constinit const OpDef dequantize_linear{.name = "DequantizeLinear",
                                        .since = 28,
                                        .compatible_since = 23,
                                        .min_inputs = 2,
                                        .max_inputs = 3,
                                        .min_outputs = 1,
                                        .max_outputs = 1,
                                        .attributes = kDequantize,
                                        .infer = infer_dequantize};

constinit const OpDef dynamic_quantize_linear{.name = "DynamicQuantizeLinear",
                                              .since = 11,
                                              .compatible_since = 11,
                                              .min_inputs = 1,
                                              .max_inputs = 1,
                                              .min_outputs = 3,
                                              .max_outputs = 3,
                                              .attributes = {},
                                              .infer = infer_dynamic};

constinit const OpDef quantize_linear{.name = "QuantizeLinear",
                                      .since = 28,
                                      .compatible_since = 23,
                                      .min_inputs = 2,
                                      .max_inputs = 3,
                                      .min_outputs = 1,
                                      .max_outputs = 1,
                                      .attributes = kQuantize,
                                      .infer = infer_quantize};

}  // namespace tercel::ops
