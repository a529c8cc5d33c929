#include "src/ops/math/math.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family math_ops() { return {}; }

}  // namespace tercel::ops
