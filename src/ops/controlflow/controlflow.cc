#include "src/ops/controlflow/controlflow.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family controlflow_ops() { return {}; }

}  // namespace tercel::ops
