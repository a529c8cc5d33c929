#include "src/ops/cpu_tables.h"

namespace tercel::ops {

std::vector<CpuFamily> cpu_families() {
  return {math_cpu_ops(),    nn_cpu_ops(),           tensor_cpu_ops(),    reduction_cpu_ops(),
          logical_cpu_ops(), controlflow_cpu_ops(),  generator_cpu_ops(), sequence_cpu_ops(),
          image_cpu_ops(),   quantization_cpu_ops(), rnn_cpu_ops(),       signal_cpu_ops(),
          strings_cpu_ops()};
}

}  // namespace tercel::ops
