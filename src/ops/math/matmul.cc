#include "src/ops/math/matmul.h"

#include "src/ops/math/math.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

void infer_matmul(InferContext& context) {
  require_same_dtype(context, 0, 1);
  infer_product(context, 0, 1, context.dtype(0));
}

}  // namespace

void infer_product(InferContext& context, int first, int second, Dtype dtype) {
  const ir::Dims* a = context.dims(first);
  const ir::Dims* b = context.dims(second);
  if (a == nullptr || b == nullptr) {
    context.set_output(0, dtype);
    return;
  }
  if (a->empty() || b->empty()) context.reject("a factor is a scalar; expected rank 1 or more");
  const ir::Dim& ka = a->back();
  const ir::Dim& kb = b->size() == 1 ? b->front() : (*b)[b->size() - 2];
  if (ka.known() && kb.known() && ka.value() != kb.value()) {
    context.reject("shapes {} and {} cannot be multiplied: {} columns against {} rows",
                   ir::to_string(*a), ir::to_string(*b), ka.value(), kb.value());
  }
  const auto leading = [](const ir::Dims& dims) {
    return dims.size() > 2 ? ir::Dims(dims.begin(), dims.end() - 2) : ir::Dims();
  };
  ir::Dims out = broadcast(context, leading(*a), leading(*b));
  if (a->size() > 1) out.push_back((*a)[a->size() - 2]);
  if (b->size() > 1) out.push_back(b->back());
  context.set_output(0, dtype, std::move(out));
}

constinit const OpDef op_matmul{.name = "MatMul",
                                .since = 13,
                                .compatible_since = 9,
                                .min_inputs = 2,
                                .max_inputs = 2,
                                .min_outputs = 1,
                                .max_outputs = 1,
                                .attributes = {},
                                .infer = infer_matmul};

}  // namespace tercel::ops
