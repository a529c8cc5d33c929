#include "src/device/cpu_isa.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "src/base/fail.h"

namespace tercel {
namespace {

constexpr std::array<std::string_view, 7> kNames{
    "generic", "avx2", "avx2_vnni", "avx512", "avx512_vnni", "avx512_bf16", "amx"};

#if defined(__x86_64__)

bool bit(unsigned word, unsigned number) { return (word >> number & 1U) != 0; }

// Linux gives a process the state of tiles, 8 KB a thread, when it asks once.
bool tiles_granted() {
#if defined(__linux__)
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM of asm/prctl.h
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

std::vector<CpuIsa> probe() {
  std::vector<CpuIsa> found{CpuIsa::generic};
  __builtin_cpu_init();
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return found;
  const bool tiles = bit(d, 24) && bit(d, 25) && bit(d, 22);
  __get_cpuid_count(7, 1, &a, &b, &c, &d);
  const bool avx_vnni = bit(a, 4);

  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return found;
  found.push_back(CpuIsa::avx2);
  if (avx_vnni) found.push_back(CpuIsa::avx2_vnni);
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl"))
    return found;
  found.push_back(CpuIsa::avx512);
  if (!__builtin_cpu_supports("avx512vnni")) return found;
  found.push_back(CpuIsa::avx512_vnni);
  if (!__builtin_cpu_supports("avx512bf16")) return found;
  found.push_back(CpuIsa::avx512_bf16);
  if (tiles && tiles_granted()) found.push_back(CpuIsa::amx);
  return found;
}

#else

std::vector<CpuIsa> probe() { return {CpuIsa::generic}; }

#endif

}  // namespace

std::string_view to_string(CpuIsa isa) { return kNames[static_cast<std::size_t>(isa)]; }

CpuIsa parse_cpu_isa(std::string_view name) {
  std::string list;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<CpuIsa>(i);
    list += i == 0 ? "" : i + 1 == kNames.size() ? " or " : ", ";
    list += kNames[i];
  }
  fail(Errc::invalid_argument, "unknown CPU instruction set \"{}\"; choose {}", name, list);
}

std::span<const CpuIsa> cpu_isas() {
  static const std::vector<CpuIsa> isas = probe();
  return isas;
}

CpuIsa best_cpu_isa() { return cpu_isas().back(); }

bool cpu_has(CpuIsa isa) {
  const auto isas = cpu_isas();
  return std::find(isas.begin(), isas.end(), isa) != isas.end();
}

}  // namespace tercel
