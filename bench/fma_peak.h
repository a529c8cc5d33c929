#pragma once
// The physical limit that f32 kernels are held against.

namespace tercel {

// FLOP/s of one thread in fused multiply-adds on registers, with the widest vectors that the
// machine has; the best of several short runs, measured once.
double fma_peak();

// The same of several threads at once.
double fma_peak(int threads);

}  // namespace tercel
