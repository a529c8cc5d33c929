#pragma once
// Every CPU kernel of one instruction set. Kernels see pointers, sizes, strides and a pool; sizes
// may be zero; scratch memory comes from the caller. Pointers need the alignment of their element,
// but for packed weights and workspaces: 64 bytes.

#include "src/device/cpu_isa.h"
#include "src/kernels/cpu/attention.h"
#include "src/kernels/cpu/conv.h"
#include "src/kernels/cpu/conv_bf16.h"
#include "src/kernels/cpu/conv_int8.h"
#include "src/kernels/cpu/conv_packed.h"
#include "src/kernels/cpu/convert.h"
#include "src/kernels/cpu/elementwise.h"
#include "src/kernels/cpu/gemm.h"
#include "src/kernels/cpu/gemm_bf16.h"
#include "src/kernels/cpu/gemm_int8.h"
#include "src/kernels/cpu/pool.h"
#include "src/kernels/cpu/quantize.h"
#include "src/kernels/cpu/reduce.h"

namespace tercel::kernels {

struct CpuKernels {
  const GemmKernels& gemm;
  const AttentionKernels& attention;
  const ElementwiseKernels& elementwise;
  const ReduceKernels& reduce;
  const ConvertKernels& convert;
  const ConvKernels& conv;
  const PackedConvKernels& packed_conv;
  const PoolKernels& pool;
  const QuantizeKernels& quantize;
};

// The kernels compiled for `isa`, which the machine must have (best_cpu_isa()).
const CpuKernels& cpu_kernels(CpuIsa isa);
// Those of 8-bit integers, which have instruction sets of their own.
const GemmInt8Kernels& gemm_int8_kernels(CpuIsa isa);
const ConvInt8Kernels& conv_int8_kernels(CpuIsa isa);

// Products of bf16 for `isa`, which the machine must have; null when it does not multiply bf16.
const GemmBf16Kernels* gemm_bf16_kernels(CpuIsa isa);
const AttentionKernels* attention_bf16_kernels(CpuIsa isa);
const ConvBf16Kernels* conv_bf16_kernels(CpuIsa isa);

}  // namespace tercel::kernels
