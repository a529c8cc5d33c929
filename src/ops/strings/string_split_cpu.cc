#include <algorithm>

#include "src/ops/cpu_text.h"
#include "src/ops/cpu_util.h"
#include "src/ops/strings/strings_cpu.h"

namespace tercel::ops {
namespace {

constexpr std::string_view kSpaces = " \t\n\v\f\r";

// At runs of white space, which count for nothing at both ends; what follows the last split stays
// as it is.
template <class Take>
void split_at_spaces(std::string_view text, int64_t splits, const Take& take) {
  std::size_t begin = text.find_first_not_of(kSpaces);
  while (begin != text.npos) {
    const std::size_t end = splits == 0 ? text.npos : text.find_first_of(kSpaces, begin);
    take(text.substr(begin, end == text.npos ? end : end - begin));
    if (end == text.npos) return;
    begin = text.find_first_not_of(kSpaces, end);
    --splits;
  }
}

template <class Take>
void split_at(std::string_view text, std::string_view delimiter, int64_t splits, const Take& take) {
  std::size_t begin = 0;
  for (;; --splits) {
    const std::size_t end = splits == 0 ? text.npos : text.find(delimiter, begin);
    take(text.substr(begin, end == text.npos ? end : end - begin));
    if (end == text.npos) return;
    begin = end + delimiter.size();
  }
}

class StringSplitKernel final : public TextKernel {
 public:
  explicit StringSplitKernel(const KernelContext& context)
      : delimiter_(context.node.string_or("delimiter", "")),
        splits_(std::max<int64_t>(context.node.int_or("maxsplit", -1), -1)) {}
  bool allocates_outputs() const override { return true; }

  void run(const KernelRun& run) const override {
    const auto in = run.inputs[0].strings();
    Shape shape = run.inputs[0].shape();
    Tensor counts = allocate_tensor(Dtype::i64, shape, run.memory, "StringSplit");
    const auto numbers = counts.values<int64_t>();
    for (std::size_t i = 0; i < in.size(); ++i) {
      numbers[i] = 0;
      split(in[i], [&](std::string_view) { ++numbers[i]; });
    }
    const int64_t most = in.empty() ? 0 : *std::max_element(numbers.begin(), numbers.end());
    shape.push_back(most);
    Tensor parts = allocate_tensor(Dtype::string, shape, run.memory, "StringSplit");
    for (std::size_t i = 0; i < in.size(); ++i) {
      std::size_t at = i * static_cast<std::size_t>(most);
      split(in[i], [&](std::string_view part) { parts.strings()[at++] = part; });
    }
    run.outputs[0] = counted(parts, run.memory, "StringSplit");
    if (run.outputs.size() > 1) run.outputs[1] = counts;
  }

 private:
  template <class Take>
  void split(std::string_view text, const Take& take) const {
    if (delimiter_.empty())
      split_at_spaces(text, splits_, take);
    else
      split_at(text, delimiter_, splits_, take);
  }

  std::string delimiter_;
  int64_t splits_;  // at most so many; -1: all
};

}  // namespace

const CpuImplementation kStringSplitCpu[1] = {
    {"split", refuse_nothing, create_kernel<StringSplitKernel>}};

}  // namespace tercel::ops
