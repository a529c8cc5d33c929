#include "src/ops/math/math.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kGemmAttributes[] = {{"alpha", AttributeKind::number},
                                            {"beta", AttributeKind::number},
                                            {"transA", AttributeKind::integer},
                                            {"transB", AttributeKind::integer}};

void check_addend(InferContext& context, const ir::Dims& out) {
  const ir::Dims* c = context.dims(2);
  if (c == nullptr) return;
  const ir::Dims both = broadcast(context, out, *c);
  bool fits = both.size() == 2;
  for (std::size_t i = 0; fits && i < 2; ++i)
    fits = !both[i].known() || !out[i].known() || both[i].value() == out[i].value();
  if (!fits) {
    context.reject("C of shape {} cannot be broadcast to {}", ir::to_string(*c),
                   ir::to_string(out));
  }
}

void infer_gemm(InferContext& context) {
  require_same_dtype(context, 0, 1);
  if (context.has_input(2)) require_same_dtype(context, 0, 2);
  const ir::Dims* a = context.dims(0);
  const ir::Dims* b = context.dims(1);
  if (a == nullptr || b == nullptr) {
    context.set_output(0, context.dtype(0), {ir::Dim(), ir::Dim()});
    return;
  }
  if (a->size() != 2 || b->size() != 2) {
    context.reject("A and B must be matrices; they have shapes {} and {}", ir::to_string(*a),
                   ir::to_string(*b));
  }
  const auto& node = context.node();
  const std::size_t row_a = node.int_or("transA", 0) != 0 ? 1 : 0;
  const std::size_t row_b = node.int_or("transB", 0) != 0 ? 1 : 0;
  const ir::Dim& ka = (*a)[1 - row_a];
  const ir::Dim& kb = (*b)[row_b];
  if (ka.known() && kb.known() && ka.value() != kb.value()) {
    context.reject("A and B cannot be multiplied: {} columns against {} rows", ka.value(),
                   kb.value());
  }
  const ir::Dims out{(*a)[row_a], (*b)[1 - row_b]};
  check_addend(context, out);
  context.set_output(0, context.dtype(0), out);
}

}  // namespace

constinit const OpDef op_gemm{.name = "Gemm",
                              .since = 13,
                              .compatible_since = 11,
                              .min_inputs = 2,
                              .max_inputs = 3,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attributes = kGemmAttributes,
                              .infer = infer_gemm};

}  // namespace tercel::ops
