#pragma once
// Running one node by itself, for constants: folding, and what is computed once at load.

#include <vector>

#include "src/ops/cpu.h"

namespace tercel::runtime {

// The outputs of `node` for these inputs (undefined: left out). Undefined outputs were left out.
// Throws what inference and kernels throw, and Errc::unsupported where there is no kernel.
std::vector<Tensor> evaluate(const ir::Node& node, const std::vector<Tensor>& inputs, CpuIsa isa,
                             ThreadPool& pool, Allocator& memory);

}  // namespace tercel::runtime
