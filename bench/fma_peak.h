#pragma once
// The physical limits that products are held against: multiplications and additions a second, on
// registers, with the widest vectors that the machine has; the best of several short runs.

namespace tercel {

// FLOP/s of one thread in f32, measured once.
double fma_peak();

// The same of several threads at once.
double fma_peak(int threads);

// The same of pairs of bf16 added up in f32 (AVX512_BF16), and of fours of int8 added up in int32
// (AVX512_VNNI); 0 where the CPU has no such instruction. AMX is not looked at.
double bf16_peak(int threads);
double int8_peak(int threads);

}  // namespace tercel
