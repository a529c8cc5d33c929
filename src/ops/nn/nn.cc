#include "src/ops/nn/nn.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family nn_ops() {
  static constexpr const OpDef* kOps[] = {&softmax};
  return kOps;
}

}  // namespace tercel::ops
