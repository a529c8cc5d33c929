#include "src/kernels/cuda/gemm_choice.h"

#include <sstream>

#include "src/base/fail.h"

namespace tercel::kernels::cuda {
namespace {

constexpr int kMostSplits = 64;  // that a text may ask for

}  // namespace

std::string words_of(const Choice& choice) {
  std::string words = fmt::format("{} {}", static_cast<int>(choice.engine), choice.splits);
  for (const uint64_t word : choice.algorithm.data) words += fmt::format(" {:x}", word);
  return words;
}

bool read_words(std::string_view words, Choice& choice) {
  std::istringstream in{std::string(words)};
  int engine = 0;
  in >> engine >> choice.splits >> std::hex;
  for (uint64_t& word : choice.algorithm.data) in >> word;
  choice.engine = static_cast<Engine>(engine);
  return in && engine >= 0 && engine <= static_cast<int>(Engine::wgmma) && choice.splits >= 1 &&
         choice.splits <= kMostSplits;
}

}  // namespace tercel::kernels::cuda
