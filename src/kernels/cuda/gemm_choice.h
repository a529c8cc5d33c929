#pragma once
// The ways to run a product.

#include <string>
#include <string_view>

#include "src/kernels/cuda/cublas_lt.h"

namespace tercel::kernels::cuda {

enum class Engine { cublas_lt, tile, wgmma };  // the numbers are in saved choices

// How one shape runs.
struct Choice {
  Engine engine = Engine::cublas_lt;
  int splits = 1;                    // of K, by tiles
  cublasLtMatmulAlgo_t algorithm{};  // of cuBLASLt
  bool measured = false;             // against the others, not chosen by heuristics
};

// As Choices wants them: the engine, the parts of K, the words of cuBLASLt's algorithm.
std::string words_of(const Choice& choice);
bool read_words(std::string_view words, Choice& choice);

}  // namespace tercel::kernels::cuda
