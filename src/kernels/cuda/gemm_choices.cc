#include "src/kernels/cuda/gemm_choices.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "src/kernels/cuda/gemm_state.h"
#include "tercel/version.h"

namespace tercel::kernels::cuda {
namespace {

constexpr int kMostSplits = 64;            // that a line may ask for
constexpr std::size_t kMostLines = 20000;  // of a file

// FNV-1a.
uint64_t checksum(std::string_view text) {
  uint64_t sum = 0xcbf29ce484222325U;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return sum;
}

std::string heading() {
  return fmt::format(
      "Tercel {} products 1, cuBLASLt {}, compute capability {}, {} multiprocessors{}\n",
      tercel::version(), cublas_lt().version(), compute_capability(), multiprocessors(),
      has_hopper_kernels() ? ", wgmma" : "");
}

// Takes the next line off the text.
std::string_view next_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

std::string choice_line(const std::string& key, const Choice& choice) {
  std::string line = fmt::format("{}\t{} {}", key, static_cast<int>(choice.engine), choice.splits);
  for (const uint64_t word : choice.algorithm.data) line += fmt::format(" {:x}", word);
  return line + fmt::format(" {:x}", checksum(line));
}

bool read_choice_line(std::string_view line, std::string& key, Choice& choice) {
  const auto tab = line.find('\t');
  const auto space = line.rfind(' ');
  if (tab == std::string_view::npos || space == std::string_view::npos || space < tab) return false;
  if (line.substr(space + 1) != fmt::format("{:x}", checksum(line.substr(0, space)))) return false;
  std::istringstream words{std::string(line.substr(tab + 1, space - tab - 1))};
  Choice read{.measured = true};
  int engine = 0;
  words >> engine >> read.splits >> std::hex;
  for (uint64_t& word : read.algorithm.data) words >> word;
  const bool known = engine >= 0 && engine <= static_cast<int>(Engine::wgmma);
  if (!words || !known || read.splits < 1 || read.splits > kMostSplits) return false;
  read.engine = static_cast<Engine>(engine);
  key = line.substr(0, tab);
  choice = read;
  return true;
}

std::string GemmLibrary::save() const {
  std::vector<std::string> lines;
  state_->for_each([&](const std::string& key, const Choice& choice) {
    if (choice.measured && lines.size() < kMostLines) lines.push_back(choice_line(key, choice));
  });
  std::sort(lines.begin(), lines.end());
  std::string text = heading();
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

int GemmLibrary::load(std::string_view text) {
  const std::string expected = heading();
  if (text.substr(0, expected.size()) != expected) return 0;
  text.remove_prefix(expected.size());
  int taken = 0;
  for (std::size_t lines = 0; !text.empty() && lines < kMostLines; ++lines) {
    std::string key;
    Choice choice;
    if (!read_choice_line(next_line(text), key, choice) || state_->has_measured(key)) continue;
    state_->remember(key, choice);
    ++taken;
  }
  return taken;
}

}  // namespace tercel::kernels::cuda
