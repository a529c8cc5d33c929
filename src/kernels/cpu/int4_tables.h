#pragma once
// The tables of products by weights of 4 bits, which isa_tables.h would make every family see.

#include "src/kernels/cpu/gemm_int4.h"

#define TERCEL_DECLARE_INT4(isa)                  \
  namespace tercel::kernels::isa {                \
  extern const GemmInt4Kernels gemm_int4_kernels; \
  }

TERCEL_DECLARE_INT4(generic)
#if defined(__x86_64__)
TERCEL_DECLARE_INT4(avx2)
TERCEL_DECLARE_INT4(avx2_vnni)
TERCEL_DECLARE_INT4(avx512)
TERCEL_DECLARE_INT4(avx512_vnni)
TERCEL_DECLARE_INT4(amx)
#endif

#undef TERCEL_DECLARE_INT4
