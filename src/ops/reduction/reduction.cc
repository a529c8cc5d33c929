#include "src/ops/reduction/reduction.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family reduction_ops() { return {}; }

}  // namespace tercel::ops
