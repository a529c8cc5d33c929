#pragma once
// What a GemmLibrary knows: cuBLASLt's handle, and how each shape runs.

#include "src/base/fail.h"
#include "src/kernels/cuda/choices.h"
#include "src/kernels/cuda/gemm_choice.h"
#include "src/kernels/cuda/gemm_lt.h"

namespace tercel::kernels::cuda {

inline constexpr std::size_t kMostScratch = std::size_t{32} << 20;
inline constexpr int kAlgorithms = 8;  // of cuBLASLt, that are measured

struct GemmLibrary::State : Choices<Choice> {
  State() {
    if (cublas_lt().create(&handle) != CUBLAS_STATUS_SUCCESS)
      fail(Errc::internal, "cublasLtCreate: cuBLASLt does not start on this device");
  }
  ~State() { cublas_lt().destroy(handle); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Runs the product through cuBLASLt; the first choice of the heuristics when none is known, or
  // one that came from a file is refused.
  void run_lt(const LtProduct& product, Choice choice, bool known, cudaStream_t stream) {
    if (known && product.run(choice.algorithm, stream)) return;
    if (!choose_lt(product, choice))
      fail(Errc::unsupported, "cuBLASLt takes no product {}", product.key());
    if (!product.run(choice.algorithm, stream))
      fail(Errc::internal, "cublasLtMatmul refuses the product {}", product.key());
  }

  // The first choice of the heuristics for a product that may lie anywhere, whatever was measured.
  static void run_first(const LtProduct& product, cudaStream_t stream) {
    constexpr uint32_t kAnywhere = 2;
    const auto algorithms = product.algorithms(1, kAnywhere);
    if (algorithms.empty() || !product.run(algorithms[0], stream))
      fail(Errc::unsupported, "cuBLASLt takes no product {}", product.key());
  }

  // The first choice of the heuristics; false when cuBLASLt takes no such product.
  bool choose_lt(const LtProduct& product, Choice& choice) {
    const auto algorithms = product.algorithms(1);
    if (algorithms.empty()) return false;
    choice = {.algorithm = algorithms[0]};
    remember(product.key(), choice);
    return true;
  }

  cublasLtHandle_t handle = nullptr;
};

// What cuBLASLt left to do on C, of every item of the batch.
void finish_product(const GemmArgs& args, const GemmEpilogue& rest, cudaStream_t stream);

}  // namespace tercel::kernels::cuda
