#include "src/ops/math/math.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kTopKAttributes[] = {{"axis", AttributeKind::integer},
                                            {"largest", AttributeKind::integer},
                                            {"sorted", AttributeKind::integer}};

void infer_top_k(InferContext& context) {
  const ir::Dims* x = context.dims(0);
  if (x == nullptr) {
    context.set_output(0, context.dtype(0));
    context.set_output(1, Dtype::i64);
    return;
  }
  const int axis = context.axis(context.node().int_or("axis", -1), static_cast<int>(x->size()));
  ir::Dims dims = *x;
  ir::Dim& dim = dims[static_cast<std::size_t>(axis)];
  const Contents* k = context.contents(1);
  const Known count = k != nullptr && k->size() == 1 ? k->front() : Known();
  if (count.is_number() && count.number() < 0) context.reject("K is {}", count.number());
  if (count.is_number() && dim.known() && count.number() > dim.value()) {
    context.reject("K is {}, more than the {} elements of axis {}", count.number(), dim.value(),
                   axis);
  }
  dim = count.dim();
  context.set_output(0, context.dtype(0), dims);
  context.set_output(1, Dtype::i64, dims);
}

}  // namespace

constinit const OpDef op_top_k{.name = "TopK",
                               .since = 24,
                               .compatible_since = 11,
                               .min_inputs = 2,
                               .max_inputs = 2,
                               .min_outputs = 2,
                               .max_outputs = 2,
                               .attributes = kTopKAttributes,
                               .infer = infer_top_k};

}  // namespace tercel::ops
