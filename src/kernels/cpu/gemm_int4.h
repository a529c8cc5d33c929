#pragma once
// Products of rows that are rounded to 8 bits in blocks by weights of 4 bits in groups:
// C = epilogue(rounded(A) · B), for weights that are read from memory for each few rows.
//
// Each block of kInt4Block elements of a row has a scale of its own:
//   range = max(greatest |x|, 1e-30), q = round(x · (127 / range)), with ties to even,
// and an element stands for q · (range / 127). A block that holds an infinity or a NaN gives NaN.
//
// Order rule: an element of C is one chain c = fma(sum, row scale · weight scale, c) over ascending
// blocks, begun at zero, where `sum` is the block's exact sum of products of integers. (The generic
// ISA of x86-64 has no fma.) So its bits depend on its row of A and its column of B alone.

#include <cstddef>
#include <cstdint>

#include "src/kernels/cpu/gemm.h"

namespace tercel::kernels {

inline constexpr int64_t kInt4Block = 32;

struct Int4GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t a_row = 0;  // elements between rows
  const void* packed_b = nullptr;
  float* c = nullptr;  // C[m, n] at m * c_row + n
  int64_t c_row = 0;
  GemmEpilogue epilogue = {};
  void* workspace = nullptr;  // workspace() bytes, 64-byte aligned
  // Another product of the same rows and of the same k: rows are rounded once.
  const Int4GemmArgs* also = nullptr;
};

// Weights are i4 or u4, with groups that are a multiple of kInt4Block or hold all of k.
struct GemmInt4Kernels {
  // Of all but `out`. Throws Errc::invalid_argument on overflow.
  std::size_t (*packed_bytes)(const PackGroupedArgs& args);
  void (*pack_b)(const PackGroupedArgs& args, ThreadPool& pool);
  // Whatever the number of threads.
  std::size_t (*workspace)(int64_t m, int64_t k, int threads);
  void (*gemm)(const Int4GemmArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
