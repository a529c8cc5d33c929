#include "src/ops/contents.h"
#include "src/ops/logical/logical.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

void require_boolean(InferContext& context) {
  for (int i = 0; i < context.node().num_inputs(); ++i) {
    const Dtype dtype = context.dtype(i);
    if (dtype != Dtype::boolean && dtype != Dtype::undefined)
      context.reject("input {} must be boolean; it has {}", i, to_string(dtype));
  }
}

using Function = bool (*)(bool a, bool b);

template <Function kFunction>
Known known_boolean(const Known& a, const Known& b) {
  if (!a.is_number() || !b.is_number()) return {};
  return Known(int64_t{kFunction(a.number() != 0, b.number() != 0)});
}

template <Function kFunction>
void infer_boolean(InferContext& context) {
  require_boolean(context);
  infer_broadcast_boolean(context);
  follow_binary(context, known_boolean<kFunction>);
}

void infer_not(InferContext& context) {
  require_boolean(context);
  infer_same_type(context);
  follow_unary(context, [](const Known& x) {
    return x.is_number() ? Known(int64_t{x.number() == 0}) : Known();
  });
}

constexpr bool both(bool a, bool b) { return a && b; }
constexpr bool either(bool a, bool b) { return a || b; }
constexpr bool one(bool a, bool b) { return a != b; }

constexpr OpDef boolean(std::string_view name, int since, int inputs, void (*rule)(InferContext&)) {
  return {.name = name,
          .since = since,
          .compatible_since = since,
          .min_inputs = inputs,
          .max_inputs = inputs,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = {},
          .infer = rule};
}

}  // namespace

constinit const OpDef op_and = boolean("And", 7, 2, infer_boolean<both>);
constinit const OpDef op_not = boolean("Not", 1, 1, infer_not);
constinit const OpDef op_or = boolean("Or", 7, 2, infer_boolean<either>);
constinit const OpDef op_xor = boolean("Xor", 7, 2, infer_boolean<one>);

}  // namespace tercel::ops
