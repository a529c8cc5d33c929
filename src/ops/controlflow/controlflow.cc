#include "src/ops/controlflow/controlflow.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family controlflow_ops() {
  static constexpr const OpDef* kOps[] = {&if_op, &loop, &scan};
  return kOps;
}

}  // namespace tercel::ops
