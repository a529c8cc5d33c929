#include "src/ops/generator/generator.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family generator_ops() {
  static constexpr const OpDef* kOps[] = {&constant, &constant_of_shape, &eye_like, &range};
  return kOps;
}

}  // namespace tercel::ops
