#include "src/ops/quantization/quantization_cpu.h"

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily quantization_cpu_ops() {
  static const CpuOp kOps[] = {
      {"tercel", "BlockQuantizedMatMul", kBlockMatMulCpu},
      {"", "ConvInteger", kConvIntegerCpu},
      {"", "DequantizeLinear", kDequantizeCpu},
      {"", "DynamicQuantizeLinear", kDynamicQuantizeCpu},
      {"tercel", "DynamicQuantizedConv", kDynamicConvCpu},
      {"tercel", "DynamicQuantizedMatMul", kDynamicMatMulCpu},
      {"", "MatMulInteger", kMatMulIntegerCpu},
      {"tercel", "QLinearAdd", kLinearAddCpu},
      {"", "QLinearConv", kLinearConvCpu},
      {"", "QLinearMatMul", kMatMulIntegerCpu},
      {"", "QuantizeLinear", kQuantizeCpu},
  };
  return kOps;
}

}  // namespace tercel::ops
