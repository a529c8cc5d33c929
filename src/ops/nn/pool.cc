#include "src/ops/nn/nn.h"

namespace tercel::ops {
namespace {

void infer(InferContext& context) {
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

constexpr OpDef pool(std::string_view name) {
  return {.name = name,
          .since = 22,
          .compatible_since = 1,
          .min_inputs = 1,
          .max_inputs = 1,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = {},
          .infer = infer};
}

}  // namespace

constinit const OpDef global_average_pool = pool("GlobalAveragePool");
constinit const OpDef global_max_pool = pool("GlobalMaxPool");

}  // namespace tercel::ops
