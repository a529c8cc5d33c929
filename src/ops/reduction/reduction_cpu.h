#pragma once
// The parts of the reduction family's CPU table, one a file.

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily arg_cpu_ops();
CpuFamily reduce_cpu_ops();

}  // namespace tercel::ops
