#include "src/ops/tensor/tensor_cpu.h"

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily tensor_cpu_ops() {
  static const CpuOp kOps[] = {
      {"", "BitCast", kBitCastCpu},
      {"", "Cast", kCastCpu},
      {"", "CastLike", kCastCpu},
      {"", "CenterCropPad", kCenterCropPadCpu},
      {"", "Compress", kCompressCpu},
      {"", "Concat", kConcatCpu},
      {"", "DepthToSpace", kDepthToSpaceCpu},
      {"", "Expand", kExpandCpu},
      {"", "Flatten", kViewCpu},
      {"", "Gather", kGatherCpu},
      {"", "GatherElements", kGatherElementsCpu},
      {"", "GatherND", kGatherNdCpu},
      {"", "Identity", kViewCpu},
      {"", "NonZero", kNonZeroCpu},
      {"", "OneHot", kOneHotCpu},
      {"", "Pad", kPadCpu},
      {"", "Reshape", kViewCpu},
      {"", "ReverseSequence", kReverseSequenceCpu},
      {"", "ScatterElements", kScatterElementsCpu},
      {"", "ScatterND", kScatterNdCpu},
      {"", "Shape", kShapeCpu},
      {"", "Size", kSizeCpu},
      {"", "Slice", kSliceCpu},
      {"", "SpaceToDepth", kSpaceToDepthCpu},
      {"", "Split", kSplitCpu},
      {"", "Squeeze", kViewCpu},
      {"", "TensorScatter", kTensorScatterCpu},
      {"", "Tile", kTileCpu},
      {"", "Transpose", kTransposeCpu},
      {"", "Trilu", kTriluCpu},
      {"", "Unique", kUniqueCpu},
      {"", "Unsqueeze", kViewCpu},
      {"", "Where", kWhereCpu},
  };
  return kOps;
}

}  // namespace tercel::ops
