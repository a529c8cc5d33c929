#include "src/ops/math/math.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

void infer_clip(InferContext& context) {
  for (int bound = 1; bound <= 2; ++bound) {
    require_same_dtype(context, 0, bound);
    const auto rank = context.rank(bound);
    if (rank && *rank != 0 && !(*rank == 1 && !context.dims(bound)->front().known()) &&
        !(*rank == 1 && context.dims(bound)->front().value() == 1)) {
      context.reject("input {} (a bound) must be a scalar; it has rank {}", bound, *rank);
    }
  }
  infer_same_type(context);
}

}  // namespace

constinit const OpDef op_clip{.name = "Clip",
                              .since = 13,
                              .compatible_since = 11,
                              .min_inputs = 1,
                              .max_inputs = 3,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attributes = {},
                              .infer = infer_clip};

}  // namespace tercel::ops
