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

// y[r] = norm(words[ids[r]] + positions[position_ids[r]] + types[type_ids[r]]): the embedding of
// BERT and its like. Tables are [size, columns] of `type`; a null table is left out; without
// position_ids row r is at position r % length, without type_ids every type is 0.
struct EmbeddingNormArgs {
  Dtype type = Dtype::f32;
  int64_t rows = 0, columns = 0, length = 0;
  Dtype index_type = Dtype::i64;  // of the three: i32 or i64
  const void* ids = nullptr;
  const void* position_ids = nullptr;
  const void* type_ids = nullptr;
  const void* words = nullptr;
  const void* positions = nullptr;
  const void* types = nullptr;
  int64_t words_size = 0, positions_size = 0, types_size = 0;
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

}  // namespace tercel::kernels::cuda
