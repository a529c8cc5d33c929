#pragma once
// The tables that each family of kernels fills, once per instruction set.

#include "src/kernels/cpu/kernels.h"

// TERCEL_ISA_TABLE(GemmKernels, gemm_kernels, function…) at the end of a family's source.
#define TERCEL_ISA_TABLE(type, name, ...) \
  namespace tercel::kernels::TERCEL_ISA { \
  constinit const type name{__VA_ARGS__}; \
  }

#define TERCEL_DECLARE_ISA(isa)                        \
  namespace tercel::kernels::isa {                     \
  extern const GemmKernels gemm_kernels;               \
  extern const AttentionKernels attention_kernels;     \
  extern const ElementwiseKernels elementwise_kernels; \
  extern const ReduceKernels reduce_kernels;           \
  extern const ConvertKernels convert_kernels;         \
  extern const ConvKernels conv_kernels;               \
  extern const PackedConvKernels packed_conv_kernels;  \
  extern const PoolKernels pool_kernels;               \
  extern const QuantizeKernels quantize_kernels;       \
  }

TERCEL_DECLARE_ISA(generic)
#if defined(__x86_64__)
TERCEL_DECLARE_ISA(avx2)
TERCEL_DECLARE_ISA(avx512)

namespace tercel::kernels::avx512_bf16 {
extern const AttentionKernels attention_kernels;
extern const GemmBf16Kernels gemm_bf16_kernels;
extern const ConvBf16Kernels conv_bf16_kernels;
}  // namespace tercel::kernels::avx512_bf16
namespace tercel::kernels::amx {
extern const AttentionKernels attention_kernels;
extern const GemmBf16Kernels gemm_bf16_kernels;
extern const ConvBf16Kernels conv_bf16_kernels;
}  // namespace tercel::kernels::amx
#endif

#undef TERCEL_DECLARE_ISA

#define TERCEL_DECLARE_INT8(isa)                  \
  namespace tercel::kernels::isa {                \
  extern const GemmInt8Kernels gemm_int8_kernels; \
  extern const ConvInt8Kernels conv_int8_kernels; \
  }

TERCEL_DECLARE_INT8(generic)
#if defined(__x86_64__)
TERCEL_DECLARE_INT8(avx2)
TERCEL_DECLARE_INT8(avx2_vnni)
TERCEL_DECLARE_INT8(avx512)
TERCEL_DECLARE_INT8(avx512_vnni)
TERCEL_DECLARE_INT8(amx)
#endif

#undef TERCEL_DECLARE_INT8
