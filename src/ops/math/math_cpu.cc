#include "src/ops/math/math_cpu.h"

namespace tercel::ops {

CpuFamily math_cpu_ops() {
  static const std::vector<CpuOp> all = [] {
    std::vector<CpuOp> ops;
    for (const CpuFamily part :
         {clip_cpu_ops(), cumulative_cpu_ops(), det_cpu_ops(), einsum_cpu_ops(),
          elementwise_binary_cpu_ops(), elementwise_unary_cpu_ops(), elementwise_variadic_cpu_ops(),
          gemm_cpu_ops(), matmul_cpu_ops(), pow_cpu_ops(), swi_glu_cpu_ops(), top_k_cpu_ops()})
      ops.insert(ops.end(), part.begin(), part.end());
    return ops;
  }();
  return all;
}

}  // namespace tercel::ops
