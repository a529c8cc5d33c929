#pragma once
// Softmax, normalisations and reductions over f32. The order of every sum depends on the length of
// the reduced axis alone: element i goes to lane i mod L (L fixed per ISA), lanes are added by one
// fixed tree; where inner > 1, elements are added in ascending order. Threads share out whole
// results, never one sum.

#include <cstdint>
#include <span>

#include "src/kernels/cpu/row_norm.h"
#include "tercel/dtype.h"

namespace tercel {
class ThreadPool;
}

namespace tercel::kernels {

// Over `axis` of [outer, axis, inner], contiguous; in place allowed. exp(x - max) / sum, so that a
// row of -inf gives NaN, and so does one with a NaN or +inf.
struct SoftmaxArgs {
  int64_t outer = 0, axis = 0, inner = 1;
  const float* x = nullptr;
  float* y = nullptr;
  bool log = false;  // log softmax: x - max - log(sum)
};

// Over the columns of [rows, columns], contiguous. x is first added to `residual` when there is
// one. Layer normalisation: (x - mean) / sqrt(variance + epsilon) * scale + bias, mean and variance
// in two passes. RMS normalisation: x / sqrt(mean of squares + epsilon) * scale.
struct NormArgs {
  int64_t rows = 0, columns = 0;
  const float* x = nullptr;
  const float* residual = nullptr;  // [rows, columns] or absent
  float* sum = nullptr;             // x + residual is written here when wanted; may equal x
  RowNorm norm = {};                // of [columns]
  float* y = nullptr;
  float* mean = nullptr;           // [rows] when wanted; layer_norm only
  float* inv_deviation = nullptr;  // [rows] when wanted
};

// One table of an embedding, [any, columns], and which of its rows is for row r: indices[r %
// count]. The caller has checked them.
struct EmbeddingTable {
  const void* rows = nullptr;
  Dtype type = Dtype::f32;  // f32, f16 or bf16
  const int64_t* indices = nullptr;
  int64_t count = 0;
};

// y[r] = layer_norm(the sum of the rows of all tables that are for row r), which is added up in the
// order of the tables: the embedding of BERT and its like, by words, positions and types.
struct EmbeddingNormArgs {
  int64_t rows = 0, columns = 0;
  std::span<const EmbeddingTable> tables;  // one or more
  RowNorm norm = {};                       // of [columns]
  float* y = nullptr;                      // [rows, columns]
};

enum class ReduceOp { sum, mean, max, min, prod, sum_square, l1, l2 };

// [outer, axis, inner] -> [outer, inner]. An empty axis gives the operation's neutral element
// (0, 1, -inf, inf; NaN for the mean). max and min give NaN when any element is NaN.
struct ReduceArgs {
  ReduceOp op = ReduceOp::sum;
  int64_t outer = 0, axis = 0, inner = 1;
  const float* x = nullptr;
  float* y = nullptr;
};

struct ReduceKernels {
  void (*softmax)(const SoftmaxArgs& args, ThreadPool& pool);
  void (*layer_norm)(const NormArgs& args, ThreadPool& pool);
  void (*rms_norm)(const NormArgs& args, ThreadPool& pool);
  void (*embedding_norm)(const EmbeddingNormArgs& args, ThreadPool& pool);
  void (*reduce)(const ReduceArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
