#include "src/ops/reduction/reduction_cpu.h"

namespace tercel::ops {

CpuFamily reduction_cpu_ops() {
  static const std::vector<CpuOp> all = [] {
    std::vector<CpuOp> ops;
    for (const CpuFamily part : {arg_cpu_ops(), reduce_cpu_ops()})
      ops.insert(ops.end(), part.begin(), part.end());
    return ops;
  }();
  return all;
}

}  // namespace tercel::ops
