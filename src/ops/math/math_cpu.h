#pragma once
// The parts of the math family's CPU table, one a file.

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily clip_cpu_ops();
CpuFamily cumulative_cpu_ops();
CpuFamily det_cpu_ops();
CpuFamily einsum_cpu_ops();
CpuFamily elementwise_binary_cpu_ops();
CpuFamily elementwise_unary_cpu_ops();
CpuFamily elementwise_variadic_cpu_ops();
CpuFamily gemm_cpu_ops();
CpuFamily matmul_cpu_ops();
CpuFamily pow_cpu_ops();
CpuFamily swi_glu_cpu_ops();
CpuFamily top_k_cpu_ops();

}  // namespace tercel::ops
