// Products of quantised tensors: MatMulInteger, QLinearMatMul, ConvInteger, QLinearConv.
#include "src/ops/math/matmul.h"
#include "src/ops/nn/window.h"
#include "src/ops/quantization/quantization.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kProductsConv[] = {
    {"auto_pad", AttributeKind::string}, {"dilations", AttributeKind::integers},
    {"group", AttributeKind::integer},   {"kernel_shape", AttributeKind::integers},
    {"pads", AttributeKind::integers},   {"strides", AttributeKind::integers}};

// Input `index`, a zero point or a scale, has one element or `count` of them.
void check_count(const InferContext& context, int index, const ir::Dim& count) {
  const ir::Dims* dims = context.dims(index);
  if (dims == nullptr) return;
  ir::Dim elements(1);
  for (const ir::Dim& dim : *dims) elements = mul(elements, dim);
  if (!elements.known() || !count.known() || elements.value() == 1) return;
  if (elements.value() != count.value()) {
    context.reject("input {} has {} elements; expected 1 or {}", index, elements.value(),
                   count.value());
  }
}

// Rows of a left factor; columns of a right one. Those of a stack are counted through.
ir::Dim rows_of(const InferContext& context, int index) {
  const ir::Dims* dims = context.dims(index);
  if (dims == nullptr || dims->empty()) return {};
  ir::Dim rows(1);
  for (std::size_t d = 0; d + 1 < dims->size(); ++d) rows = mul(rows, (*dims)[d]);
  return rows;
}
ir::Dim columns_of(const InferContext& context, int index) {
  const ir::Dims* dims = context.dims(index);
  if (dims == nullptr || dims->empty()) return {};
  if (dims->size() == 1) return 1;
  ir::Dim columns = dims->back();
  for (std::size_t d = 0; d + 2 < dims->size(); ++d) columns = mul(columns, (*dims)[d]);
  return columns;
}

void check_factors(const InferContext& context, int a, int b, std::initializer_list<int> of_a,
                   std::initializer_list<int> of_b) {
  for (const int index : of_a) check_count(context, index, rows_of(context, a));
  for (const int index : of_b) check_count(context, index, columns_of(context, b));
}

void infer_matmul_integer(InferContext& context) {
  infer_product(context, 0, 1, Dtype::i32);
  check_factors(context, 0, 1, {2}, {3});
}

void infer_qlinear_matmul(InferContext& context) {
  infer_product(context, 0, 3, context.dtype(7));
  check_factors(context, 0, 3, {1, 2}, {4, 5});
  for (const int index : {6, 7}) check_count(context, index, ir::Dim(1));
}

void check_channels(const InferContext& context, int weight, std::initializer_list<int> indices) {
  const ir::Dims* w = context.dims(weight);
  for (const int index : indices)
    check_count(context, index, w != nullptr && !w->empty() ? w->front() : ir::Dim());
}

void infer_conv_integer(InferContext& context) {
  infer_convolution(context, 1, Dtype::i32);
  check_count(context, 2, ir::Dim(1));
  check_channels(context, 1, {3});
}

void infer_qlinear_conv(InferContext& context) {
  infer_convolution(context, 3, context.dtype(7));
  for (const int index : {1, 2, 6, 7}) check_count(context, index, ir::Dim(1));
  check_channels(context, 3, {4, 5});
  if (const ir::Dims* w = context.dims(3)) check_bias(context, 8, w->front());
  if (context.has_input(8) && context.dtype(8) != Dtype::i32 &&
      context.dtype(8) != Dtype::undefined)
    context.reject("the bias has {}; expected i32", to_string(context.dtype(8)));
}

constexpr OpDef product_products(std::string_view name, int since, int min_inputs, int max_inputs,
                                 std::span<const AttributeDef> attributes,
                                 void (*rule)(InferContext&)) {
  return {.name = name,
          .since = since,
          .compatible_since = 10,
          .min_inputs = min_inputs,
          .max_inputs = max_inputs,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = attributes,
          .infer = rule};
}

}  // namespace

constinit const OpDef conv_integer =
    product_products("ConvInteger", 10, 2, 4, kProductsConv, infer_conv_integer);
constinit const OpDef matmul_integer =
    product_products("MatMulInteger", 10, 2, 4, {}, infer_matmul_integer);
constinit const OpDef qlinear_conv =
    product_products("QLinearConv", 10, 8, 9, kProductsConv, infer_qlinear_conv);
constinit const OpDef qlinear_matmul =
    product_products("QLinearMatMul", 21, 8, 8, {}, infer_qlinear_matmul);

}  // namespace tercel::ops
