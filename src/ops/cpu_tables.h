#pragma once
// The tables of CPU implementations, one a family, a row an operator, best implementation first.

#include <span>
#include <vector>

#include "src/ops/cpu.h"

namespace tercel::ops {

using CpuFamily = std::span<const CpuOp>;

CpuFamily math_cpu_ops();
CpuFamily nn_cpu_ops();
CpuFamily tensor_cpu_ops();
CpuFamily reduction_cpu_ops();
CpuFamily logical_cpu_ops();
CpuFamily controlflow_cpu_ops();
CpuFamily generator_cpu_ops();
CpuFamily image_cpu_ops();
CpuFamily quantization_cpu_ops();
CpuFamily rnn_cpu_ops();
CpuFamily sequence_cpu_ops();
CpuFamily signal_cpu_ops();
CpuFamily strings_cpu_ops();

std::vector<CpuFamily> cpu_families();

}  // namespace tercel::ops
