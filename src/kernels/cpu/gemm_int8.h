#pragma once
// Products of 8-bit integers with sums in 32 bits: C = epilogue(scale · (A - zero) · (B - zero)).
//
// Sums of integers are exact (modulo 2^32), so no order of them changes a bit: an element of C
// depends on its row of A and its column of B alone, on every instruction set. What follows in f32
// (scales, epilogue) is done element by element.
//
// Rows in f32 are quantised to 8 bits on the way in, each to its own scale and zero point:
//   low = min(0, row), high = max(0, row), range = max(high - low, 1e-30)
//   zero = round(-low · (255 / range)), q = clamp(round(x · (255 / range)) + zero, 0, 255)
// with ties to even; the row stands for (q - zero) · (range / 255). A row that holds an infinity or
// a NaN gives NaN.
//
// B is packed once, as 8-bit integers with the sums of its columns, its zero points and scales.
// What one ISA packed, no other reads.

#include <cstddef>
#include <cstdint>

#include "src/kernels/cpu/gemm.h"

namespace tercel::kernels {

// The most that K may be for no sum of 32 bits to overflow.
inline constexpr int64_t kInt8MaxK = 65000;

// B[k, n] at element k * k_stride + n * n_stride.
struct PackInt8Args {
  int64_t k = 0, n = 0;
  const void* b = nullptr;  // int8_t, or uint8_t
  bool is_signed = true;
  int64_t k_stride = 0, n_stride = 1;
  const float* scale = nullptr;   // [n]; null: 1
  const int32_t* zero = nullptr;  // [n]; null: 0
  void* out = nullptr;            // packed_bytes(k, n), 64-byte aligned
};

// Rows in f32 give C in f32; rows of bytes give the sums, with the zero points taken off.
struct Int8GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  const void* a_bytes = nullptr;  // instead of `a`: int8_t or uint8_t
  bool a_signed = false;
  const int32_t* a_zero = nullptr;  // of a_bytes: [m]; null: 0
  int64_t a_row = 0;                // elements between rows
  const void* packed_b = nullptr;
  float* c = nullptr;       // C[m, n] at m * c_row + n
  int32_t* sums = nullptr;  // instead of `c`, for a_bytes
  int64_t c_row = 0;
  GemmEpilogue epilogue = {};  // with `c`
  void* workspace = nullptr;   // workspace() bytes, 64-byte aligned
  // Another product of the same rows in f32 or bytes and of the same k: rows are quantised once.
  const Int8GemmArgs* also = nullptr;
};

struct GemmInt8Kernels {
  // Throws Errc::invalid_argument on overflow.
  std::size_t (*packed_bytes)(int64_t k, int64_t n);
  void (*pack_b)(const PackInt8Args& args, ThreadPool& pool);
  // `threads` is the size of the pool that will run it.
  std::size_t (*workspace)(int64_t m, int64_t k, int threads);
  void (*gemm)(const Int8GemmArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
