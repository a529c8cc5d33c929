#pragma once
// Layer and RMS normalisation and softmax of f32, f16 and bf16, in f32 throughout: mean and
// variance in two passes over registers or shared memory. The order of a sum depends on the row's
// length alone.

#include "src/kernels/cuda/launch.h"

namespace tercel::kernels::cuda {

// Over the columns of [rows, columns]. x, the residual and the bias of the product before are added
// first. Layer normalisation: (x - mean) / sqrt(variance + epsilon) * scale + shift; RMS
// normalisation: x / sqrt(mean of squares + epsilon) * scale.
struct NormArgs {
  Dtype type = Dtype::f32;  // of x, residual, bias, sum, scale, shift and y
  bool rms = false;
  int64_t rows = 0, columns = 0;
  const void* x = nullptr;
  int64_t x_row = 0;               // elements between rows; likewise below
  const void* residual = nullptr;  // [rows, columns] or null
  int64_t residual_row = 0;
  const void* bias = nullptr;  // [columns] or null: added to x
  void* sum = nullptr;         // x + bias + residual when wanted; may be x or the residual
  int64_t sum_row = 0;
  const void* scale = nullptr;  // [columns] or null
  const void* shift = nullptr;  // [columns] or null; ignored with rms
  float epsilon = 1e-5F;
  void* y = nullptr;  // may be x or the residual
  int64_t y_row = 0;
  float* mean = nullptr;           // [rows] when wanted; not with rms
  float* inv_deviation = nullptr;  // [rows] when wanted

  // x instead as the sum of `partials` f32 matrices [rows, columns], one after another in memory:
  // what a product with split K leaves. x is then null.
  const float* partial_sums = nullptr;
  int partials = 0;
};
void norm(const NormArgs& args, cudaStream_t stream);

// One table of an embedding, [size, columns], and which of its rows is for row r: ids[r % count],
// or ids[pick[r % count]]; without ids row 0.
struct EmbeddingTable {
  const void* rows = nullptr;
  int64_t size = 0;
  const void* ids = nullptr;
  int64_t count = 0;
  const int64_t* pick = nullptr;
  int64_t ids_count = 0;  // with pick
};

// y[r] = norm(the sum of the rows of all tables that are for row r): the embedding of BERT and its
// like, by words, positions and types.
struct EmbeddingNormArgs {
  static constexpr int kMaxTables = 3;
  Dtype type = Dtype::f32;  // of the tables, scale, shift and y
  int64_t rows = 0, columns = 0;
  Dtype index_type = Dtype::i64;  // of all ids: i32 or i64
  EmbeddingTable tables[kMaxTables];
  bool rms = false;
  const void* scale = nullptr;  // both null: no norm, the sum alone
  const void* shift = nullptr;
  float epsilon = 1e-5F;
  void* y = nullptr;  // [rows, columns]
  int* error = nullptr;
};
void embedding_norm(const EmbeddingNormArgs& args, cudaStream_t stream);

// Over `axis` of [outer, axis, inner], contiguous; in place allowed. exp(x - max) / sum, so that a
// row of -inf gives NaN.
struct SoftmaxArgs {
  Dtype type = Dtype::f32;
  int64_t outer = 0, axis = 0, inner = 1;
  const void* x = nullptr;
  void* y = nullptr;
  bool log = false;  // x - max - log(sum)
};
void softmax(const SoftmaxArgs& args, cudaStream_t stream);

// y = x * scale[c] + shift[c] over [outer, channels, inner], f32, f16, bf16: what normalisation by
// known statistics is. y may be x.
struct ScaleShiftArgs {
  Dtype type = Dtype::f32;
  int64_t outer = 0, channels = 0, inner = 1;
  const void* x = nullptr;
  const float* scale = nullptr;
  const float* shift = nullptr;
  void* y = nullptr;
};
void scale_shift(const ScaleShiftArgs& args, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
