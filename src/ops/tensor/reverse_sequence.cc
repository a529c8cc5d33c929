#include "src/ops/rules.h"
#include "src/ops/tensor/shape_rules.h"
#include "src/ops/tensor/tensor.h"

namespace tercel::ops {
namespace {

constexpr AttributeDef kReverseSequenceAttributes[] = {{"batch_axis", AttributeKind::integer},
                                                       {"time_axis", AttributeKind::integer}};

void infer_reverse_sequence(InferContext& context) {
  const int64_t batch = context.node().int_or("batch_axis", 1);
  const int64_t time = context.node().int_or("time_axis", 0);
  if (!(batch == 0 && time == 1) && !(batch == 1 && time == 0))
    context.reject("batch_axis {} and time_axis {}: expected 0 and 1, or 1 and 0", batch, time);
  if (const ir::Dims* dims = context.dims(0)) {
    if (dims->size() < 2) context.reject("the input has rank {}; expected 2 or more", dims->size());
    if (const ir::Dims* lengths = context.dims(1)) {
      if (lengths->size() != 1)
        context.reject("sequence_lens has rank {}; expected 1", lengths->size());
      same_dim(context, lengths->front(), (*dims)[static_cast<std::size_t>(batch)],
               "sequence_lens and the batch");
    }
  }
  infer_same_type(context);
}

}  // namespace

const OpDef reverse_sequence{.name = "ReverseSequence",
                             .since = 28,
                             .compatible_since = 10,
                             .min_inputs = 2,
                             .max_inputs = 2,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attributes = kReverseSequenceAttributes,
                             .infer = infer_reverse_sequence};

}  // namespace tercel::ops
