#include "src/ops/strings/strings.h"

namespace tercel::ops {
namespace {

void infer_string_concat(InferContext& context) {
  for (const int i : {0, 1}) {
    const Dtype dtype = context.dtype(i);
    if (dtype != Dtype::undefined && dtype != Dtype::string)
      context.reject("input {} has {}; expected string", i, to_string(dtype));
  }
  const ir::Dims* a = context.dims(0);
  const ir::Dims* b = context.dims(1);
  if (a != nullptr && b != nullptr)
    context.set_output(0, Dtype::string, broadcast(context, *a, *b));
  else
    context.set_output(0, Dtype::string);
}

}  // namespace

const OpDef string_concat{.name = "StringConcat",
                          .since = 20,
                          .compatible_since = 20,
                          .min_inputs = 2,
                          .max_inputs = 2,
                          .min_outputs = 1,
                          .max_outputs = 1,
                          .attributes = {},
                          .infer = infer_string_concat};

}  // namespace tercel::ops
