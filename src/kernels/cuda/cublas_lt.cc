#include "src/kernels/cuda/cublas_lt.h"

#include "src/kernels/cuda/shared_library.h"

namespace tercel::kernels::cuda {
namespace {

CublasLt load() {
  const SharedLibrary library("libcublasLt.so.13", {"../nvidia/cu13/lib"},
                              "install the CUDA 13 toolkit's cuBLAS, or the Python package "
                              "nvidia-cublas, and make its folder known to the loader");
  CublasLt lt{};
  library.take("cublasLtCreate", lt.create);
  library.take("cublasLtDestroy", lt.destroy);
  library.take("cublasLtGetVersion", lt.version);
  library.take("cublasLtMatmul", lt.matmul);
  library.take("cublasLtMatmulAlgoGetHeuristic", lt.heuristic);
  library.take("cublasLtMatmulDescCreate", lt.create_desc);
  library.take("cublasLtMatmulDescDestroy", lt.destroy_desc);
  library.take("cublasLtMatmulDescSetAttribute", lt.set_desc);
  library.take("cublasLtMatrixLayoutCreate", lt.create_layout);
  library.take("cublasLtMatrixLayoutDestroy", lt.destroy_layout);
  library.take("cublasLtMatrixLayoutSetAttribute", lt.set_layout);
  library.take("cublasLtMatmulPreferenceCreate", lt.create_preference);
  library.take("cublasLtMatmulPreferenceDestroy", lt.destroy_preference);
  library.take("cublasLtMatmulPreferenceSetAttribute", lt.set_preference);
  return lt;
}

}  // namespace

const CublasLt& cublas_lt() {
  static const CublasLt lt = load();
  return lt;
}

}  // namespace tercel::kernels::cuda
