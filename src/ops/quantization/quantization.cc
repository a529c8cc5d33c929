#include "src/ops/quantization/quantization.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family quantization_ops() {
  static constexpr const OpDef* kOps[] = {&block_quantized_matmul, &conv_integer,
                                          &dequantize_linear,      &dynamic_quantize_linear,
                                          &dynamic_quantized_conv, &dynamic_quantized_matmul,
                                          &matmul_integer,         &qlinear_add,
                                          &qlinear_conv,           &qlinear_matmul,
                                          &quantize_linear};
  return kOps;
}

}  // namespace tercel::ops
