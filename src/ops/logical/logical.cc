#include "src/ops/logical/logical.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family logical_ops() { return {}; }

}  // namespace tercel::ops
