#include "src/ops/contents.h"
#include "src/ops/math/math.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kFmod[] = {{"fmod", AttributeKind::integer}};
constexpr AttributeDef kDirection[] = {{"direction", AttributeKind::string, true}};

template <KnownFunction kFunction>
void infer_followed_binary(InferContext& context) {
  infer_broadcast(context);
  follow_binary(context, kFunction);
}

Known known_mod(const Known& a, const Known& b) {
  if (!a.is_number() || !b.is_number() || b.number() == 0 || b.number() == -1) return {};
  const int64_t rest = a.number() % b.number();
  return Known(rest != 0 && (rest < 0) != (b.number() < 0) ? rest + b.number() : rest);
}

void infer_mod(InferContext& context) {
  infer_broadcast(context);
  if (context.node().int_or("fmod", 0) == 0) follow_binary(context, known_mod);
}

// The exponent may have another element type.
void infer_pow(InferContext& context) {
  const ir::Dims* x = context.dims(0);
  const ir::Dims* y = context.dims(1);
  if (x != nullptr && y != nullptr)
    context.set_output(0, context.dtype(0), broadcast(context, *x, *y));
  else
    context.set_output(0, context.dtype(0));
}

// The slope broadcasts to the input, not the other way round.
void infer_prelu(InferContext& context) {
  require_same_dtype(context, 0, 1);
  infer_same_type(context);
  const ir::Dims* x = context.dims(0);
  const ir::Dims* slope = context.dims(1);
  if (x == nullptr || slope == nullptr) return;
  const ir::Dims both = broadcast(context, *x, *slope);
  bool fits = both.size() == x->size();
  for (std::size_t i = 0; fits && i < both.size(); ++i)
    fits = !both[i].known() || !(*x)[i].known() || both[i].value() == (*x)[i].value();
  if (!fits) {
    context.reject("a slope of shape {} cannot be broadcast to {}", ir::to_string(*slope),
                   ir::to_string(*x));
  }
}

void infer_bit_shift(InferContext& context) {
  const std::string direction = context.node().string_or("direction", "");
  if (direction != "LEFT" && direction != "RIGHT")
    context.reject("direction is \"{}\"; expected \"LEFT\" or \"RIGHT\"", direction);
  infer_broadcast(context);
}

constexpr OpDef binary(std::string_view name, int since, int compatible_since,
                       void (*infer)(InferContext&),
                       std::span<const AttributeDef> attributes = {}) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = 2,
          .max_inputs = 2,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = attributes,
          .infer = infer};
}

}  // namespace

constinit const OpDef op_add = binary("Add", 14, 7, infer_followed_binary<known_add>);
constinit const OpDef op_bit_shift = binary("BitShift", 28, 11, infer_bit_shift, kDirection);
constinit const OpDef op_bitwise_and = binary("BitwiseAnd", 18, 18, infer_broadcast);
constinit const OpDef op_bitwise_or = binary("BitwiseOr", 18, 18, infer_broadcast);
constinit const OpDef op_bitwise_xor = binary("BitwiseXor", 18, 18, infer_broadcast);
constinit const OpDef op_div = binary("Div", 14, 7, infer_followed_binary<known_div>);
constinit const OpDef op_mod = binary("Mod", 28, 10, infer_mod, kFmod);
constinit const OpDef op_mul = binary("Mul", 14, 7, infer_followed_binary<known_mul>);
constinit const OpDef op_pow = binary("Pow", 15, 12, infer_pow);
constinit const OpDef op_prelu = binary("PRelu", 16, 9, infer_prelu);
constinit const OpDef op_sub = binary("Sub", 14, 7, infer_followed_binary<known_sub>);

}  // namespace tercel::ops
