#pragma once
// Matrix products in f32: C = epilogue(A · B).
//
// Order rule: every element of C is one chain c = fma(a[k], b[k], c) over ascending k, begun at
// zero, with the epilogue after it. Its bits depend on K and on the values alone, never on M, its
// row's place, the batch, the blocking or the number of threads. (The generic ISA of x86-64 has no
// fma and rounds the product first.)
//
// B is packed in panels of the ISA's width, each K x width, contiguous and zero-filled at the right
// edge; what one ISA packed, no other reads. Weights are packed once, in f32, f16 or bf16: the
// half types are widened inside the kernel, exactly.
//
// Weights of 4 or 8 bits (PackGroupedArgs) are (q - zero) · scale, which is computed in f32 for
// each element and rounded once. The product has the bits of the f32 product by these numbers.

#include <cstddef>
#include <cstdint>

#include "src/kernels/cpu/row_norm.h"
#include "tercel/dtype.h"

namespace tercel {
class ThreadPool;
}

namespace tercel::kernels {

enum class Activation { none, relu, gelu, gelu_tanh, silu, tanh, sigmoid };

// y = activation(x + bias) + residual, and where asked for the layer normalisation of y's rows.
struct GemmEpilogue {
  const float* bias = nullptr;  // [n]
  Activation activation = Activation::none;
  const float* residual = nullptr;  // [m, n]; it may not overlap C
  int64_t residual_stride = 0;      // elements between rows
  const float* row_bias = nullptr;  // [m], added with the other
  bool normalize = false;           // rows of C; of a packed product whose C is f32
  RowNorm norm = {};
};

// B[k, n] at element k * k_stride + n * n_stride: [K, N] has {N, 1}, a transposed [N, K] {1, K}.
struct PackBArgs {
  int64_t k = 0, n = 0;
  const void* b = nullptr;
  Dtype source = Dtype::f32;  // f32, f16 or bf16
  int64_t k_stride = 0, n_stride = 1;
  Dtype packed = Dtype::f32;  // f32, f16 or bf16
  void* out = nullptr;        // packed_bytes(k, n, packed), 64-byte aligned
};

// Steps of k that a group of integer weights has a multiple of.
inline constexpr int64_t kGroupUnit = 8;

// As PackBArgs, for integers with a scale, and perhaps a zero point, for each `group` steps of k of
// a column. Those of group g, column n are at g * scale_group + n * scale_n.
struct PackGroupedArgs {
  int64_t k = 0, n = 0;
  const void* b = nullptr;
  Dtype source = Dtype::i4;  // i4, u4 (two to a byte, the first in its lower half), i8 or u8
  int64_t k_stride = 0, n_stride = 1;
  int64_t group = 0;  // a multiple of kGroupUnit, or k at least
  const float* scale = nullptr;
  const int32_t* zero = nullptr;  // null: 0
  int64_t scale_group = 0, scale_n = 0;
  void* out = nullptr;  // grouped_bytes(args), 64-byte aligned
};

struct GemmArgs {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;  // A[m, k] at m * a_row + k * a_column
  int64_t a_row = 0, a_column = 1;
  const void* packed_b = nullptr;
  Dtype packed = Dtype::f32;  // as it was packed; i4 or i8: by pack_grouped
  float* c = nullptr;         // C[m, n] at m * c_row + n; it may not overlap A
  int64_t c_row = 0;
  GemmEpilogue epilogue = {};
  // gemm_workspace() bytes, 64-byte aligned; slower without, and needed with i4 and i8.
  void* workspace = nullptr;
  // Another product of the same A, k and `packed`, done in the same steps: A is copied once.
  const GemmArgs* also = nullptr;
};

// C[i] = A[i] · B[i], all of them activations. Matrix i begins `offsets[i]` elements into its
// operand, or i * batch stride when there are no offsets (stride 0 broadcasts).
struct BatchedGemmArgs {
  int64_t batch = 0, m = 0, n = 0, k = 0;
  const float* a = nullptr;
  const int64_t* a_offsets = nullptr;  // [batch]
  int64_t a_batch = 0, a_row = 0, a_column = 1;
  const float* b = nullptr;
  const int64_t* b_offsets = nullptr;
  int64_t b_batch = 0, b_k = 0, b_n = 1;  // strides, as in PackBArgs
  float* c = nullptr;
  int64_t c_batch = 0, c_row = 0;
  void* workspace = nullptr;  // batched_gemm_workspace() bytes, 64-byte aligned
};

struct GemmKernels {
  // Bytes that a packed [k, n] matrix takes. Throws Errc::invalid_argument on overflow and
  // Errc::unsupported for another dtype.
  std::size_t (*packed_bytes)(int64_t k, int64_t n, Dtype packed);
  void (*pack_b)(const PackBArgs& args, ThreadPool& pool);
  // Of all but `out`. Throws Errc::invalid_argument on overflow.
  std::size_t (*grouped_bytes)(const PackGroupedArgs& args);
  void (*pack_grouped)(const PackGroupedArgs& args, ThreadPool& pool);
  // `threads` is the size of the pool that will run it.
  std::size_t (*gemm_workspace)(int64_t m, int threads);
  void (*gemm)(const GemmArgs& args, ThreadPool& pool);
  std::size_t (*batched_gemm_workspace)(int threads);
  void (*batched_gemm)(const BatchedGemmArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
