#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kBitCastAttributes[] = {{"to", AttributeKind::integer, true}};

void infer_bit_cast(InferContext& context) {
  const auto to = static_cast<Dtype>(context.node().int_or("to", 0));
  const Dtype from = context.dtype(0);
  if (bits_of(to) == 0)
    context.reject("to is {}, which is no type of fixed size", static_cast<int>(to));
  if (from != Dtype::undefined && bits_of(from) != bits_of(to)) {
    context.reject("{} has {} bits, {} has {}", to_string(from), bits_of(from), to_string(to),
                   bits_of(to));
  }
  if (const ir::Dims* dims = context.dims(0))
    context.set_output(0, to, *dims);
  else
    context.set_output(0, to);
}

}  // namespace

const OpDef bit_cast{.name = "BitCast",
                     .since = 26,
                     .compatible_since = 26,
                     .min_inputs = 1,
                     .max_inputs = 1,
                     .min_outputs = 1,
                     .max_outputs = 1,
                     .attributes = kBitCastAttributes,
                     .infer = infer_bit_cast};

}  // namespace tercel::ops
