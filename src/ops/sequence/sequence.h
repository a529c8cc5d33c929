#pragma once
// Sequences of tensors and optional values (ONNX's sequence and optional families).

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef concat_from_sequence;
extern const OpDef optional;
extern const OpDef optional_get_element;
extern const OpDef optional_has_element;
extern const OpDef sequence_at;
extern const OpDef sequence_construct;
extern const OpDef sequence_empty;
extern const OpDef sequence_erase;
extern const OpDef sequence_insert;
extern const OpDef sequence_length;
extern const OpDef sequence_map;
extern const OpDef split_to_sequence;

}  // namespace tercel::ops
