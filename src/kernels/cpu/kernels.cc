#include "src/kernels/cpu/kernels.h"

#include "src/kernels/cpu/isa_tables.h"

namespace tercel::kernels {
namespace {

#define TERCEL_KERNELS_OF(isa)                                                                \
  CpuKernels {                                                                                \
    isa::gemm_kernels, isa::attention_kernels, isa::elementwise_kernels, isa::reduce_kernels, \
        isa::convert_kernels, isa::conv_kernels, isa::packed_conv_kernels, isa::pool_kernels  \
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

}  // namespace tercel::kernels
