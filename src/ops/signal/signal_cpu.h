#pragma once
// The CPU implementations of the signal family.

#include "src/ops/cpu_util.h"

namespace tercel::ops {

extern const CpuImplementation kDftCpu[1];
extern const CpuImplementation kMelCpu[1];
extern const CpuImplementation kStftCpu[1];
extern const CpuImplementation kWindowCpu[1];

}  // namespace tercel::ops
