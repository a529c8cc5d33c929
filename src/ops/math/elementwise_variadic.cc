#include "src/ops/contents.h"
#include "src/ops/math/math.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

// Contents are followed for two inputs, which is what shape arithmetic uses.
template <KnownFunction kFunction>
void infer_followed_variadic(InferContext& context) {
  infer_broadcast(context);
  if (context.node().num_inputs() == 2) follow_binary(context, kFunction);
}

constexpr OpDef variadic(std::string_view name, int since, int compatible_since,
                         void (*infer)(InferContext&)) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = 1,
          .max_inputs = kVariadic,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = {},
          .infer = infer};
}

}  // namespace

constinit const OpDef op_max = variadic("Max", 13, 8, infer_followed_variadic<known_max>);
constinit const OpDef op_mean = variadic("Mean", 13, 8, infer_broadcast);
constinit const OpDef op_min = variadic("Min", 13, 8, infer_followed_variadic<known_min>);
constinit const OpDef op_sum = variadic("Sum", 13, 8, infer_broadcast);

}  // namespace tercel::ops
