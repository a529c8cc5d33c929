#include "src/ops/image/image_cpu.h"

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily image_cpu_ops() {
  static const CpuOp kOps[] = {
      {"", "AffineGrid", kAffineGridCpu}, {"", "GridSample", kGridSampleCpu},
      {"", "MaxRoiPool", kMaxRoiPoolCpu}, {"", "NonMaxSuppression", kNonMaxSuppressionCpu},
      {"", "Resize", kResizeCpu},         {"", "RoiAlign", kRoiAlignCpu},
  };
  return kOps;
}

}  // namespace tercel::ops
