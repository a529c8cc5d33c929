#include "src/device/cpu_isa.h"

#include <array>

#include "src/base/fail.h"

namespace tercel {
namespace {

constexpr std::array<std::string_view, 4> kNames{"generic", "avx2", "avx512", "avx512_bf16"};

}  // namespace

std::string_view to_string(CpuIsa isa) { return kNames[static_cast<std::size_t>(isa)]; }

CpuIsa parse_cpu_isa(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<CpuIsa>(i);
  }
  fail(Errc::invalid_argument,
       "unknown CPU instruction set \"{}\"; choose generic, avx2, avx512 or avx512_bf16", name);
}

CpuIsa best_cpu_isa() {
#if defined(__x86_64__)
  static const CpuIsa isa = [] {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CpuIsa::generic;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
      return CpuIsa::avx2;
    }
    const bool half = __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
    return half ? CpuIsa::avx512_bf16 : CpuIsa::avx512;
  }();
  return isa;
#else
  return CpuIsa::generic;
#endif
}

}  // namespace tercel
