#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily math_cpu_ops() { return {}; }

}  // namespace tercel::ops
