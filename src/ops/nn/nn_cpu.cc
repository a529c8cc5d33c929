#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily nn_cpu_ops() { return {}; }

}  // namespace tercel::ops
