// The choices of tune() as text.

#include <sstream>

#include "src/kernels/cuda/gemm_state.h"

namespace tercel::kernels::cuda {
namespace {

constexpr int kMostSplits = 64;  // that a line may ask for

std::string heading() {
  return fmt::format("tercel gemm 4, cuBLASLt {}, compute capability {}, {} multiprocessors\n",
                     cublas_lt().version(), compute_capability(), multiprocessors());
}

}  // namespace

// A line: the key, a tab, the engine, the parts of K, and the algorithm's words. The first line
// says for what.
std::string GemmLibrary::save() const {
  const std::lock_guard lock(state_->mutex);
  std::string text = heading();
  for (const auto& [key, choice] : state_->choices) {
    if (!choice.measured) continue;
    text += fmt::format("{}\t{} {}", key, static_cast<int>(choice.engine), choice.splits);
    for (const uint64_t word : choice.algorithm.data) text += fmt::format(" {:x}", word);
    text += '\n';
  }
  return text;
}

int GemmLibrary::load(std::string_view text) {
  const std::string expected = heading();
  if (text.substr(0, expected.size()) != expected) return 0;
  std::istringstream lines{std::string(text.substr(expected.size()))};
  int taken = 0;
  for (std::string line; std::getline(lines, line);) {
    const auto tab = line.find('\t');
    if (tab == std::string::npos) continue;
    std::istringstream words(line.substr(tab + 1));
    Choice choice;
    int engine = 0;
    words >> engine >> choice.splits >> std::hex;
    for (uint64_t& word : choice.algorithm.data) words >> word;
    const bool sound = engine >= 0 && engine <= static_cast<int>(Engine::wgmma) &&
                       choice.splits > 0 && choice.splits <= kMostSplits;
    if (!words || !sound) continue;
    choice.engine = static_cast<Engine>(engine);
    choice.measured = true;
    state_->remember(line.substr(0, tab), choice);
    ++taken;
  }
  return taken;
}

}  // namespace tercel::kernels::cuda
