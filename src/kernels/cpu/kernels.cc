#include "src/kernels/cpu/kernels.h"

#include "src/kernels/cpu/isa_tables.h"

namespace tercel::kernels {
namespace {

#define TERCEL_KERNELS_OF(isa)                                                                \
  CpuKernels {                                                                                \
    isa::gemm_kernels, isa::attention_kernels, isa::elementwise_kernels, isa::reduce_kernels, \
        isa::convert_kernels, isa::conv_kernels, isa::packed_conv_kernels, isa::pool_kernels, \
        isa::quantize_kernels                                                                 \
  }

constinit const CpuKernels kGeneric = TERCEL_KERNELS_OF(generic);
#if defined(__x86_64__)
constinit const CpuKernels kAvx2 = TERCEL_KERNELS_OF(avx2);
constinit const CpuKernels kAvx512 = TERCEL_KERNELS_OF(avx512);
#endif

#undef TERCEL_KERNELS_OF

}  // namespace

const CpuKernels& cpu_kernels(CpuIsa isa) {
#if defined(__x86_64__)
  if (isa >= CpuIsa::avx512) return kAvx512;  // no f32 kernel gains by what came later
  if (isa >= CpuIsa::avx2) return kAvx2;
#endif
  static_cast<void>(isa);
  return kGeneric;
}

#if defined(__x86_64__)
#define TERCEL_BF16_KERNELS(isa, table) \
  (isa) == CpuIsa::amx ? &amx::table : (isa) == CpuIsa::avx512_bf16 ? &avx512_bf16::table : nullptr
#else
#define TERCEL_BF16_KERNELS(isa, table) (static_cast<void>(isa), nullptr)
#endif

const GemmBf16Kernels* gemm_bf16_kernels(CpuIsa isa) {
  return TERCEL_BF16_KERNELS(isa, gemm_bf16_kernels);
}

const AttentionKernels* attention_bf16_kernels(CpuIsa isa) {
  return TERCEL_BF16_KERNELS(isa, attention_kernels);
}

const ConvBf16Kernels* conv_bf16_kernels(CpuIsa isa) {
  return TERCEL_BF16_KERNELS(isa, conv_bf16_kernels);
}

#undef TERCEL_BF16_KERNELS

namespace {

struct Int8Kernels {
  const GemmInt8Kernels& gemm;
  const ConvInt8Kernels& conv;
};

#define TERCEL_INT8_KERNELS(isa) \
  { isa::gemm_int8_kernels, isa::conv_int8_kernels }

Int8Kernels int8_kernels(CpuIsa isa) {
#if defined(__x86_64__)
  switch (isa) {
    case CpuIsa::amx:
      return TERCEL_INT8_KERNELS(amx);
    case CpuIsa::avx512_bf16:
    case CpuIsa::avx512_vnni:
      return TERCEL_INT8_KERNELS(avx512_vnni);
    case CpuIsa::avx512:
      return TERCEL_INT8_KERNELS(avx512);
    case CpuIsa::avx2_vnni:
      return TERCEL_INT8_KERNELS(avx2_vnni);
    case CpuIsa::avx2:
      return TERCEL_INT8_KERNELS(avx2);
    case CpuIsa::generic:
      break;
  }
#endif
  static_cast<void>(isa);
  return TERCEL_INT8_KERNELS(generic);
}

#undef TERCEL_INT8_KERNELS

}  // namespace

const GemmInt8Kernels& gemm_int8_kernels(CpuIsa isa) { return int8_kernels(isa).gemm; }
const ConvInt8Kernels& conv_int8_kernels(CpuIsa isa) { return int8_kernels(isa).conv; }

}  // namespace tercel::kernels
