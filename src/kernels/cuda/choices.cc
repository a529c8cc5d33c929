#include "src/kernels/cuda/choices.h"

#include "src/base/fail.h"
#include "src/kernels/cuda/cublas_lt.h"
#include "src/kernels/cuda/launch.h"
#include "tercel/version.h"

namespace tercel::kernels::cuda {
namespace {

// FNV-1a.
uint64_t checksum(std::string_view text) {
  uint64_t sum = 0xcbf29ce484222325U;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return sum;
}

}  // namespace

std::string choices_heading() {
  return fmt::format(
      "Tercel {} choices 1, cuBLASLt {}, compute capability {}, {} multiprocessors{}\n",
      tercel::version(), cublas_lt().version(), compute_capability(), multiprocessors(),
      has_hopper_kernels() ? ", wgmma" : "");
}

std::string to_text(const ChoiceLine& line) {
  const std::string text = fmt::format("{}\t{}\t{}", line.name, line.key, line.words);
  return fmt::format("{}\t{:x}\n", text, checksum(text));
}

bool read_choice_line(std::string_view& text, ChoiceLine& line) {
  const auto end = std::min(text.find('\n'), text.size());
  const std::string_view all = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  const auto last = std::min(all.rfind('\t'), all.size());
  const std::string_view summed = all.substr(0, last);
  if (all.substr(last) != fmt::format("\t{:x}", checksum(summed))) return false;
  const auto first = summed.find('\t'), second = summed.rfind('\t');
  if (first >= second || second == std::string_view::npos) return false;
  line = {summed.substr(0, first), summed.substr(first + 1, second - first - 1),
          summed.substr(second + 1)};
  return true;
}

}  // namespace tercel::kernels::cuda
