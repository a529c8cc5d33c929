#pragma once
// Cast between numbers and their text.

#include "src/ops/cpu.h"

namespace tercel::ops {

// One of the types is string, the other a number of 8 bits or more, or boolean.
std::string refuse_text_cast(const KernelContext& context);
std::unique_ptr<CpuKernel> create_text_cast(const KernelContext& context);

}  // namespace tercel::ops
