#include "src/ops/signal/signal_cpu.h"

#include "src/ops/cpu_tables.h"

namespace tercel::ops {

CpuFamily signal_cpu_ops() {
  static const CpuOp kOps[] = {
      {"", "BlackmanWindow", kWindowCpu}, {"", "DFT", kDftCpu},
      {"", "HammingWindow", kWindowCpu},  {"", "HannWindow", kWindowCpu},
      {"", "MelWeightMatrix", kMelCpu},   {"", "STFT", kStftCpu},
  };
  return kOps;
}

}  // namespace tercel::ops
