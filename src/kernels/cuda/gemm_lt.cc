#include "src/kernels/cuda/gemm_lt.h"

#include <algorithm>
#include <bit>

#include "src/base/fail.h"

namespace tercel::kernels::cuda {
namespace {

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(Errc::internal, "{}: status {} of cuBLASLt", call, static_cast<int>(status));
}

cudaDataType_t data_type(const char* kernel, Dtype type) {
  switch (type) {
    case Dtype::f32:
      return CUDA_R_32F;
    case Dtype::f16:
      return CUDA_R_16F;
    case Dtype::bf16:
      return CUDA_R_16BF;
    default:
      unsupported_type(kernel, type);
  }
}

// The largest power of two, 256 at most, that divides the address.
unsigned alignment(const void* pointer) {
  return 1U << std::min(std::countr_zero(reinterpret_cast<uintptr_t>(pointer) | 256U), 8);
}

}  // namespace

template <class Value>
void LtProduct::set(cublasLtMatmulDescAttributes_t attribute, const Value& value) {
  check(lt_.set_desc(desc_, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
}

cublasLtMatrixLayout_t LtProduct::layout(cudaDataType_t type, const Matrix& matrix, int64_t batch) {
  cublasLtMatrixLayout_t result = nullptr;
  check(lt_.create_layout(&result, type, static_cast<uint64_t>(matrix.rows),
                          static_cast<uint64_t>(matrix.columns), matrix.stride),
        "cublasLtMatrixLayoutCreate");
  if (batch > 1) {
    const auto count = static_cast<int32_t>(batch);
    check(lt_.set_layout(result, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
          "cublasLtMatrixLayoutSetAttribute");
    check(lt_.set_layout(result, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &matrix.batch_stride,
                         sizeof matrix.batch_stride),
          "cublasLtMatrixLayoutSetAttribute");
  }
  return result;
}

// What cuBLASLt can end a product with goes into it: a residual, an activation behind it, or
// neither. Its GELU is that by tanh.
void LtProduct::set_epilogue(const GemmEpilogue& epilogue, int64_t c_row, cudaDataType_t type,
                             bool fp8) {
  c_ = d_;
  int64_t residual_row = c_row;
  const bool residual = epilogue.residual != nullptr;
  const bool behind = residual && epilogue.activation == Activation::none;
  const Activation act = behind ? epilogue.last : epilogue.activation;
  const bool known =
      act == Activation::none || act == Activation::relu || act == Activation::gelu_tanh;
  const bool ends = behind || (!residual && epilogue.last == Activation::none);
  if (fp8 || !known || !ends) {
    rest_ = epilogue;
    if (fp8 && act == Activation::none && !residual && epilogue.bias == nullptr) rest_ = {};
  } else {
    cublasLtEpilogue_t kind = CUBLASLT_EPILOGUE_DEFAULT;
    const bool bias = epilogue.bias != nullptr;
    if (act == Activation::relu)
      kind = bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
    else if (act == Activation::gelu_tanh)
      kind = bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
    else if (bias)
      kind = CUBLASLT_EPILOGUE_BIAS;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, kind);
    if (bias) {
      set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, epilogue.bias);
      set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type);
      if (epilogue.bias_batch != 0)
        set(CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, epilogue.bias_batch);
    }
    if (residual) {
      c_ = epilogue.residual;
      residual_row = epilogue.residual_row;
      beta_ = 1.0F;
    }
  }
  key_ += fmt::format(" epilogue{},{},{},{},{}", epilogue.bias != nullptr,
                      static_cast<int>(epilogue.activation), residual, epilogue.bias_batch,
                      static_cast<int>(epilogue.last));
  check(lt_.set_layout(c_layout_, CUBLASLT_MATRIX_LAYOUT_LD, &residual_row, sizeof residual_row),
        "cublasLtMatrixLayoutSetAttribute");
}

LtProduct::LtProduct(cublasLtHandle_t handle, const GemmArgs& args)
    : lt_(cublas_lt()),
      handle_(handle),
      a_(args.b),
      b_(args.a),
      d_(args.c),
      scratch_(args.scratch),
      scratch_bytes_(args.scratch_bytes),
      alpha_(args.alpha) {
  const cudaDataType_t type = data_type("gemm", args.type);
  key_ = fmt::format("{} {}x{}x{} {} rows{},{},{} batch{}:{},{},{} at{},{},{}",
                     to_string(args.type), args.m, args.n, args.k, args.b_transposed ? "t" : "n",
                     args.a_row, args.b_row, args.c_row, args.batch, args.a_batch, args.b_batch,
                     args.c_batch, alignment(args.a), alignment(args.b), alignment(args.c));
  check(lt_.create_desc(&desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  if (args.b_transposed) set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  const Matrix b = args.b_transposed ? Matrix{args.k, args.n, args.b_row, args.b_batch}
                                     : Matrix{args.n, args.k, args.b_row, args.b_batch};
  const Matrix c{args.n, args.m, args.c_row, args.c_batch};
  a_layout_ = layout(type, b, args.batch);
  b_layout_ = layout(type, {args.k, args.m, args.a_row, args.a_batch}, args.batch);
  c_layout_ = layout(type, c, args.batch);
  d_layout_ = layout(type, c, args.batch);
  set_epilogue(args.epilogue, args.c_row, type, false);
}

// The first item of a batch; its key says of how many.
LtProduct::LtProduct(cublasLtHandle_t handle, const ByteGemmArgs& args)
    : lt_(cublas_lt()),
      handle_(handle),
      a_(args.gemm.b),
      b_(args.gemm.a),
      d_(args.gemm.c),
      scratch_(args.gemm.scratch),
      scratch_bytes_(args.gemm.scratch_bytes) {
  const GemmArgs& gemm = args.gemm;
  const cudaDataType_t type = data_type("gemm_bytes", gemm.type);
  key_ = fmt::format("f8e4m3fn {} {}x{}x{} row{} batch{}:{}", to_string(gemm.type), gemm.m, gemm.n,
                     gemm.k, gemm.c_row, gemm.batch, gemm.c_batch);
  check(lt_.create_desc(&desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  const auto by_rows = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
  set(CUBLASLT_MATMUL_DESC_A_SCALE_MODE, by_rows);
  set(CUBLASLT_MATMUL_DESC_B_SCALE_MODE, by_rows);
  set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, args.b_scales);
  set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, args.a_scales);
  a_layout_ = layout(CUDA_R_8F_E4M3, {gemm.k, gemm.n, gemm.k, 0}, 1);
  b_layout_ = layout(CUDA_R_8F_E4M3, {gemm.k, gemm.m, gemm.k, 0}, 1);
  c_layout_ = layout(type, {gemm.n, gemm.m, gemm.c_row, 0}, 1);
  d_layout_ = layout(type, {gemm.n, gemm.m, gemm.c_row, 0}, 1);
  set_epilogue(gemm.epilogue, gemm.c_row, type, true);
}

LtProduct::~LtProduct() {
  for (cublasLtMatrixLayout_t layout : {a_layout_, b_layout_, c_layout_, d_layout_})
    if (layout != nullptr) lt_.destroy_layout(layout);
  if (desc_ != nullptr) lt_.destroy_desc(desc_);
}

std::vector<cublasLtMatmulAlgo_t> LtProduct::algorithms(int most,
                                                        uint32_t alignment_at_most) const {
  cublasLtMatmulPreference_t preference = nullptr;
  check(lt_.create_preference(&preference), "cublasLtMatmulPreferenceCreate");
  const auto give = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
    return lt_.set_preference(preference, attribute, &value, sizeof value);
  };
  const auto assumed = [&](const void* pointer) {
    return std::min(alignment_at_most, uint32_t{alignment(pointer)});
  };
  give(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, scratch_bytes_);
  give(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, assumed(a_));
  give(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, assumed(b_));
  give(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, assumed(c_));
  give(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, assumed(d_));
  std::vector<cublasLtMatmulHeuristicResult_t> found(static_cast<std::size_t>(most));
  int count = 0;
  const auto status = lt_.heuristic(handle_, desc_, a_layout_, b_layout_, c_layout_, d_layout_,
                                    preference, most, found.data(), &count);
  lt_.destroy_preference(preference);
  if (status != CUBLAS_STATUS_SUCCESS && status != CUBLAS_STATUS_NOT_SUPPORTED)
    check(status, "cublasLtMatmulAlgoGetHeuristic");
  std::vector<cublasLtMatmulAlgo_t> algorithms;
  for (int i = 0; i < count && status == CUBLAS_STATUS_SUCCESS; ++i) {
    const auto& result = found[static_cast<std::size_t>(i)];
    if (result.state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(result.algo);
  }
  return algorithms;
}

bool LtProduct::run(const cublasLtMatmulAlgo_t& algorithm, cudaStream_t stream) const {
  const auto status =
      lt_.matmul(handle_, desc_, &alpha_, a_, a_layout_, b_, b_layout_, &beta_, c_, c_layout_, d_,
                 d_layout_, &algorithm, scratch_, scratch_bytes_, stream);
  return status == CUBLAS_STATUS_SUCCESS;
}

}  // namespace tercel::kernels::cuda
