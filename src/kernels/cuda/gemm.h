#pragma once
// Matrix products C = epilogue(A · B) of f32, f16 and bf16, row-major, summed in f32. f32 products
// are true f32: no TF32.
//
// Large products run through cuBLASLt, or own wgmma kernels where an epilogue is wanted that
// cuBLASLt lacks (GELU by erf); products of few rows run through own kernels of small tiles and
// split K, those of few columns through one that reads each row once. Which one, GemmLibrary
// decides per shape; the result is the same bits at every run, and with `batch_invariant` a row's
// bits do not depend on M either.

#include <memory>
#include <string>
#include <string_view>

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

enum class Activation { none, relu, gelu, gelu_tanh, silu, tanh, sigmoid };

// y = last(activation(x + bias) + residual). Elements have the product's type.
struct GemmEpilogue {
  const void* bias = nullptr;  // [n]
  Activation activation = Activation::none;
  const void* residual = nullptr;      // [m, n]; it may be C where there is no activation
  int64_t residual_row = 0;            // elements between rows
  int64_t bias_batch = 0;              // from the bias of one item of a batch to the next one's
  Activation last = Activation::none;  // where there is a residual; no norm comes behind it
};

struct GemmArgs {
  Dtype type = Dtype::f32;  // of A, B, C, bias and residual
  int64_t m = 0, n = 0, k = 0;
  const void* a = nullptr;  // A[m, k] at m * a_row + k
  int64_t a_row = 0;
  const void* b = nullptr;
  bool b_transposed = false;  // false: B[k, n] at k * b_row + n; true: at n * b_row + k
  int64_t b_row = 0;
  void* c = nullptr;  // C[m, n] at m * c_row + n
  int64_t c_row = 0;
  float alpha = 1.0F;  // C = epilogue(alpha · A · B)
  GemmEpilogue epilogue = {};

  // C[i] = A[i] · B[i]; a stride of 0 broadcasts. The residual of an item begins at i * c_batch.
  int64_t batch = 1;
  int64_t a_batch = 0, b_batch = 0, c_batch = 0;

  // A row's bits do not depend on M (for products that no kernel of tiles takes: on `batch` alone).
  bool batch_invariant = false;
  // B was written long before: it may be read while the kernels in front of this one still run.
  bool b_is_weight = false;
  void* scratch = nullptr;  // GemmLibrary::scratch() bytes; fewer are allowed, and slower
  std::size_t scratch_bytes = 0;
};

// y = norm(residual + bias + A · B) * scale + shift: what ends each half of a transformer layer.
// Norm over the n columns: layer normalisation, or RMS normalisation with `rms` (no shift).
struct GemmNormArgs {
  GemmArgs gemm;  // batch 1, no activation; c receives the sum before the norm, or is null
  bool rms = false;
  float epsilon = 1e-5F;
  const void* scale = nullptr;  // [n], may be null
  const void* shift = nullptr;  // [n], may be null
  void* y = nullptr;            // [m, n] at m * y_row + n; it may be the residual
  int64_t y_row = 0;
};

// Bytes, fp8 E4M3 or int8, on compute capability 9.0: C = epilogue(diag(a_scales) · A · Bᵀ ·
// diag(b_scales)). Sums of int8 are exact; of sums of E4M3 the tensor cores keep about 14 bits.
struct ByteGemmArgs {
  Dtype factors = Dtype::f8e4m3fn;  // of A and B; or i8
  // A [m, k] and B [batch, n, k], contiguous; one A for the whole batch, alpha 1. C, bias and
  // residual are of `type`, f16 or bf16. n and k are multiples of 16, and all is aligned to 16
  // bytes.
  GemmArgs gemm;
  const float* a_scales = nullptr;  // [m]
  const float* b_scales = nullptr;  // [batch, n]
};

// x[rows, columns] in f32, f16 or bf16, to bytes by rows: scales[r] = max |x[r]| / the largest
// byte, 448 or 127 (1 for a row of zeros), and x / scale rounded to nearest. For weights a row is
// an output channel.
struct QuantizeRowsArgs {
  Dtype to = Dtype::f8e4m3fn;  // or i8
  Dtype type = Dtype::f16;     // of x
  int64_t rows = 0, columns = 0;
  const void* x = nullptr;
  int64_t x_row = 0;
  void* y = nullptr;  // [rows, columns]
  float* scales = nullptr;
};
void quantize_rows(const QuantizeRowsArgs& args, cudaStream_t stream);

// The products of one device: cuBLASLt's handle and the algorithm chosen for each shape. May be
// used from several threads, on several streams.
class GemmLibrary {
 public:
  GemmLibrary();  // for the current device; Errc::unsupported when cuBLASLt cannot be opened
  ~GemmLibrary();
  GemmLibrary(const GemmLibrary&) = delete;
  GemmLibrary& operator=(const GemmLibrary&) = delete;

  // Bytes of scratch with which every algorithm may run: 32 MiB at most, less for small products.
  static std::size_t scratch(const GemmArgs& args);
  static std::size_t scratch(const GemmNormArgs& args);
  static std::size_t scratch(const ByteGemmArgs& args);

  void gemm(const GemmArgs& args, cudaStream_t stream);
  void gemm_norm(const GemmNormArgs& args, cudaStream_t stream);
  // Errc::unsupported but on compute capability 9.0; of i8 also where its kernels were not compiled
  // for sm_90a.
  void gemm_bytes(const ByteGemmArgs& args, cudaStream_t stream);

  // Measures what could run the product, several times each, and remembers the fastest for its
  // shape (its key: types, layouts, sizes, epilogue, compute capability); once for each. C is
  // overwritten. It synchronises with the stream and may not be captured. Untuned shapes take the
  // first choice of the heuristics.
  void tune(const GemmArgs& args, cudaStream_t stream);
  void tune(const GemmNormArgs& args, cudaStream_t stream);
  void tune(const ByteGemmArgs& args, cudaStream_t stream);

  // The choices made by tune() as lines of text (choices.h). And back, but for lines that are
  // damaged, of another library, or of what tune() has measured; returns how many were taken.
  std::string save() const;
  int load(std::string_view text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tercel::kernels::cuda
