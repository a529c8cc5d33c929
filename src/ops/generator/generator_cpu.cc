#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily generator_cpu_ops() { return {}; }

}  // namespace tercel::ops
