#pragma once
// Instruction sets that CPU kernels are compiled for, and the best one this machine has.

#include <string_view>

namespace tercel {

// In order: each includes those before it.
enum class CpuIsa {
  generic,      // x86-64 baseline, or any other architecture
  avx2,         // AVX2 + FMA + F16C
  avx512,       // AVX-512 F, BW, DQ, VL
  avx512_bf16,  // and AVX512_BF16, AVX512_VNNI
};

std::string_view to_string(CpuIsa isa);

// "generic", "avx2", "avx512", "avx512_bf16". Throws Errc::invalid_argument with the list.
CpuIsa parse_cpu_isa(std::string_view name);

// What the CPU and the operating system support.
CpuIsa best_cpu_isa();

}  // namespace tercel
