#pragma once
// The CPU implementations of the tensor family, which tensor_cpu.cc puts into its table.

#include "src/ops/tensor/move_cpu.h"

namespace tercel::ops {

extern const CpuImplementation kViewCpu[1];
extern const CpuImplementation kBitCastCpu[1];
extern const CpuImplementation kCastCpu[3];
extern const CpuImplementation kCenterCropPadCpu[1];
extern const CpuImplementation kCompressCpu[1];
extern const CpuImplementation kConcatCpu[2];
extern const CpuImplementation kDepthToSpaceCpu[1];
extern const CpuImplementation kExpandCpu[1];
extern const CpuImplementation kGatherCpu[1];
extern const CpuImplementation kGatherElementsCpu[1];
extern const CpuImplementation kGatherNdCpu[1];
extern const CpuImplementation kNonZeroCpu[1];
extern const CpuImplementation kOneHotCpu[1];
extern const CpuImplementation kPadCpu[1];
extern const CpuImplementation kReverseSequenceCpu[1];
extern const CpuImplementation kScatterElementsCpu[1];
extern const CpuImplementation kScatterNdCpu[1];
extern const CpuImplementation kShapeCpu[1];
extern const CpuImplementation kSizeCpu[1];
extern const CpuImplementation kSliceCpu[1];
extern const CpuImplementation kSpaceToDepthCpu[1];
extern const CpuImplementation kSplitCpu[1];
extern const CpuImplementation kTensorScatterCpu[1];
extern const CpuImplementation kTileCpu[1];
extern const CpuImplementation kTransposeCpu[1];
extern const CpuImplementation kTriluCpu[1];
extern const CpuImplementation kUniqueCpu[1];
extern const CpuImplementation kWhereCpu[1];

}  // namespace tercel::ops
