#pragma once
// Matrix products of bf16 factors with f32 sums, C = epilogue(A · B), for processors that multiply
// bf16 (AVX512_BF16, AMX).
//
// The first factor is given in f32 and rounded to bf16 (nearest even) as its rows are copied for a
// tile, or given in bf16; the second is packed in bf16.
//
// Order rule: every element of C is one chain over ascending pairs of k, begun at zero: the
// instruction adds the products of a pair to the sum (an odd K ends with a pair whose second
// factors are zero). Its bits depend on K and on the values alone, never on M, its row's place, the
// batch, the blocking or the number of threads; two instruction sets may differ. Subnormal factors,
// and sums that are subnormal, count as zero, as the instructions have it.
//
// B is packed in panels of 16 columns: 16 pairs of k after each other are one tile of AMX, a pair
// is one register of AVX-512. K is filled up to 16 pairs and the last panel to 16 columns with
// zeros.

#include "src/kernels/cpu/gemm.h"

namespace tercel::kernels {

struct GemmBf16Args {
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;    // A[m, k] at m * a_row + k * a_column
  Dtype a_type = Dtype::f32;  // f32 or bf16
  int64_t a_row = 0, a_column = 1;
  const void* packed_b = nullptr;
  void* c = nullptr;          // C[m, n] at m * c_row + n; it may not overlap A
  Dtype c_type = Dtype::f32;  // f32, or bf16 when K is at most bf16_c_depth
  int64_t c_row = 0;
  GemmEpilogue epilogue = {};
  // Another product of the same A and k, done in the same steps: A is rounded and copied once.
  const GemmBf16Args* also = nullptr;
};

struct GemmBf16Kernels {
  int64_t bf16_c_depth;  // the largest K whose C may be bf16
  // Bytes that a packed [k, n] matrix takes. Throws Errc::invalid_argument on overflow.
  std::size_t (*packed_bytes)(int64_t k, int64_t n);
  // args.packed is bf16.
  void (*pack_b)(const PackBArgs& args, ThreadPool& pool);
  void (*gemm)(const GemmBf16Args& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
