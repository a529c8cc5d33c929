#include "src/ops/sequence/sequence.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family sequence_ops() {
  static constexpr const OpDef* kOps[] = {
      &concat_from_sequence, &optional,           &optional_get_element, &optional_has_element,
      &sequence_at,          &sequence_construct, &sequence_empty,       &sequence_erase,
      &sequence_insert,      &sequence_length,    &sequence_map,         &split_to_sequence};
  return kOps;
}

}  // namespace tercel::ops
