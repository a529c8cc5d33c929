// The operators that a CUDA session leaves to the CPU, each with the reason. What has neither a
// CUDA row nor a line here fails; so does a line of an operator that has a row by now.

#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "src/device/cuda_library.h"
#include "src/ops/cpu.h"
#include "src/ops/op_def.h"

namespace tercel::ops {
namespace {

struct StaysOnTheCpu {
  std::string_view reason;
  std::vector<std::string_view> operators;
};

const std::vector<StaysOnTheCpu>& list() {
  static const std::vector<StaysOnTheCpu> kList{
      {"says shapes, or makes constants: computed with the plan",
       {"Shape", "Size", "Constant", "ConstantOfShape", "Range", "EyeLike", "BlackmanWindow",
        "HammingWindow", "HannWindow", "MelWeightMatrix"}},
      {"counts the real tokens before a plan is looked up", {"PackedRows"}},
      {"the size of its output depends on the data",
       {"NonZero", "Compress", "Unique", "NonMaxSuppression"}},
      {"sequences and optional values are not in the device's memory",
       {"SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
        "SequenceLength", "SplitToSequence", "ConcatFromSequence", "Optional", "OptionalGetElement",
        "OptionalHasElement"}},
      {"strings are not in the device's memory",
       {"RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"}},
      {"random numbers are those of the CPU",
       {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
        "RandomUniformLike"}},
      {"belongs to training", {"Dropout", "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"}},
      {"integers of 8 bits are the CPU's way to be small",
       {"BlockQuantizedMatMul", "ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear",
        "DynamicQuantizedConv", "DynamicQuantizedMatMul", "MatMulInteger", "QLinearAdd",
        "QLinearConv", "QLinearMatMul", "QuantizeLinear"}},
      {"recurrent, a step after the other", {"GRU", "LSTM", "RNN"}},
      {"of audio", {"DFT", "STFT"}},
      {"of detectors, on few regions",
       {"RoiAlign", "MaxRoiPool", "DeformConv", "GridSample", "AffineGrid"}},
      {"rare in networks",
       {"BitCast",
        "CausalConvWithState",
        "CenterCropPad",
        "Col2Im",
        "Det",
        "Einsum",
        "GroupNormalization",
        "Hardmax",
        "InstanceNormalization",
        "LRN",
        "LinearAttention",
        "LpNormalization",
        "LpPool",
        "MaxUnpool",
        "Mean",
        "MeanVarianceNormalization",
        "OneHot",
        "ReverseSequence",
        "SpaceToDepth",
        "SwiGLU",
        "TensorScatter",
        "TopK"}},
  };
  return kList;
}

TEST(CpuOperators, AreListedWithReasons) {
  if (cuda_devices().api == nullptr) GTEST_SKIP() << cuda_devices().missing;
  std::map<std::string_view, std::string_view> reasons;
  for (const StaysOnTheCpu& stays : list())
    for (const std::string_view name : stays.operators) reasons.emplace(name, stays.reason);
  for (const CpuOp* op : all_cpu_ops()) {
    const OpDef* def = find_op(op->domain, op->name);
    const bool view = def != nullptr && def->view_of_input;
    const bool on_device = cuda_devices().api->kernels->find(op->domain, op->name) != nullptr;
    const auto reason = reasons.find(op->name);
    if (on_device || view) {
      EXPECT_EQ(reason, reasons.end()) << op->name << " is on the device";
      continue;
    }
    EXPECT_NE(reason, reasons.end()) << op->name << " has no CUDA row, and no reason";
    if (reason != reasons.end())
      std::cout << op->name << " stays on the CPU: " << reason->second << '\n';
  }
}

}  // namespace
}  // namespace tercel::ops
