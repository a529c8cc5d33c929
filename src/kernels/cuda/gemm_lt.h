#pragma once
// One product of cuBLASLt: descriptors and the algorithms that may run it.

#include <string>
#include <vector>

#include "src/kernels/cuda/cublas_lt.h"
#include "src/kernels/cuda/gemm.h"

namespace tercel::kernels::cuda {

// Row-major C = A · B as cuBLASLt's column-major Cᵀ = Bᵀ · Aᵀ. Valid while the arguments are.
class LtProduct {
 public:
  LtProduct(cublasLtHandle_t handle, const GemmArgs& args);
  LtProduct(cublasLtHandle_t handle, const ByteGemmArgs& args);
  ~LtProduct();
  LtProduct(const LtProduct&) = delete;
  LtProduct& operator=(const LtProduct&) = delete;

  // Types, layouts, sizes, alignments and epilogue: what decides which algorithms may run.
  const std::string& key() const { return key_; }

  // At most `most`, the best first by cuBLASLt's model; empty when it takes no such product. They
  // rely on the pointers' alignment, up to `alignment_at_most` bytes.
  std::vector<cublasLtMatmulAlgo_t> algorithms(int most, uint32_t alignment_at_most = 256) const;

  // False when cuBLASLt refuses the algorithm.
  bool run(const cublasLtMatmulAlgo_t& algorithm, cudaStream_t stream) const;

  // What is left for bias_activation() to do on C; all absent when cuBLASLt does it.
  const GemmEpilogue& rest() const { return rest_; }
  bool has_rest() const {
    return rest_.bias != nullptr || rest_.residual != nullptr ||
           rest_.activation != Activation::none;
  }

 private:
  struct Matrix {
    int64_t rows, columns, stride, batch_stride;  // column-major
  };
  cublasLtMatrixLayout_t layout(cudaDataType_t type, const Matrix& matrix, int64_t batch);
  void set_epilogue(const GemmEpilogue& epilogue, int64_t c_row, cudaDataType_t type, bool fp8);
  template <class Value>
  void set(cublasLtMatmulDescAttributes_t attribute, const Value& value);

  const CublasLt& lt_;
  cublasLtHandle_t handle_;
  std::string key_;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t a_layout_ = nullptr, b_layout_ = nullptr, c_layout_ = nullptr,
                         d_layout_ = nullptr;
  const void* a_ = nullptr;  // cuBLASLt's A is our B
  const void* b_ = nullptr;
  const void* c_ = nullptr;
  void* d_ = nullptr;
  void* scratch_ = nullptr;
  std::size_t scratch_bytes_ = 0;
  float alpha_ = 1.0F, beta_ = 0.0F;
  GemmEpilogue rest_;
};

}  // namespace tercel::kernels::cuda
