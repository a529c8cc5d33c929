#include "src/ops/definitions.h"

namespace tercel::ops {

std::vector<Family> families() {
  return {math_ops(),        nn_ops(),        tensor_ops(), reduction_ops(),    logical_ops(),
          controlflow_ops(), generator_ops(), image_ops(),  quantization_ops(), rnn_ops(),
          sequence_ops(),    signal_ops(),    strings_ops()};
}

}  // namespace tercel::ops
