#include "src/ops/generator/generator.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family generator_ops() {
  static constexpr const OpDef* kOps[] = {
      &bernoulli,           &constant,      &constant_of_shape,  &eye_like,
      &multinomial,         &random_normal, &random_normal_like, &random_uniform,
      &random_uniform_like, &range};
  return kOps;
}

}  // namespace tercel::ops
