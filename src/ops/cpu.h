#pragma once
// The CPU's implementations of operators: the interface of kernel.h by the CPU's own names, and its
// table.

#include "src/ops/kernel.h"

namespace tercel::ops {

using CpuKernel = Kernel;
using CpuImplementation = Implementation;
using CpuOp = OperatorKernels;

const KernelTable& cpu_kernel_table();
// Null when there is none.
const CpuOp* find_cpu_op(std::string_view domain, std::string_view name);
std::span<const CpuOp* const> all_cpu_ops();

// Throws Errc::unsupported with every refusal when none accepts.
Choice choose_cpu_kernel(const KernelContext& context);
// Whether there is one, for these layouts.
bool has_cpu_kernel(const KernelContext& context);

}  // namespace tercel::ops
