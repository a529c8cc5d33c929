#include "src/ops/definitions.h"

namespace tercel::ops {

std::vector<Family> families() {
  return {math_ops(),    nn_ops(),          tensor_ops(),    reduction_ops(),
          logical_ops(), controlflow_ops(), generator_ops(), sequence_ops()};
}

}  // namespace tercel::ops
