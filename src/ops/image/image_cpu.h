#pragma once
// The CPU implementations of the image family.

#include "src/ops/cpu_util.h"

namespace tercel::ops {

extern const CpuImplementation kAffineGridCpu[1];
extern const CpuImplementation kGridSampleCpu[1];
extern const CpuImplementation kMaxRoiPoolCpu[1];
extern const CpuImplementation kNonMaxSuppressionCpu[1];
extern const CpuImplementation kResizeCpu[2];
extern const CpuImplementation kRoiAlignCpu[1];

}  // namespace tercel::ops
