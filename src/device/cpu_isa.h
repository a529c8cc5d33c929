#pragma once
// Instruction sets that CPU kernels are compiled for, and the best one this machine has.

#include <span>
#include <string_view>

namespace tercel {

// From slow to fast. Each includes those before it, but that no AVX-512 includes avx2_vnni.
enum class CpuIsa {
  generic,      // x86-64 baseline, or any other architecture
  avx2,         // AVX2 + FMA + F16C
  avx2_vnni,    // and AVX_VNNI
  avx512,       // AVX-512 F, BW, DQ, VL
  avx512_vnni,  // and AVX512_VNNI
  avx512_bf16,  // and AVX512_BF16
  amx,          // and AMX_TILE, AMX_BF16, AMX_INT8, with the system's leave to use the tiles
};

std::string_view to_string(CpuIsa isa);

// One of cpu_isas() by its name. Throws Errc::invalid_argument with the list.
CpuIsa parse_cpu_isa(std::string_view name);

// What the CPU and the operating system support, from slow to fast.
std::span<const CpuIsa> cpu_isas();
bool cpu_has(CpuIsa isa);

// The fastest of them, which is used unless another is asked for: the kernels have been tested on
// machines with each.
CpuIsa best_cpu_isa();

}  // namespace tercel
