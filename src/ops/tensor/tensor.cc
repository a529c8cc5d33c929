#include "src/ops/tensor/tensor.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family tensor_ops() { return {}; }

}  // namespace tercel::ops
