// Linear in the length of each string, whatever the pattern: see src/text/regex.

#include <algorithm>

#include "src/ops/cpu_text.h"
#include "src/ops/cpu_util.h"
#include "src/ops/strings/strings_cpu.h"
#include "src/text/regex/re2_syntax.h"
#include "src/text/regex/regex.h"

namespace tercel::ops {
namespace {

class MatchKernel final : public TextKernel {
 public:
  explicit MatchKernel(const KernelContext& context)
      : regex_(text::full_match_of_re2(context.node.string_or("pattern", ""))) {}

  void run(const KernelRun& run) const override {
    text::RegexSearch search(regex_);
    const auto in = run.inputs[0].strings();
    const auto out = run.outputs[0].values<bool>();
    for (std::size_t i = 0; i < in.size(); ++i) {
      run.limits.check();
      out[i] = matches(search, in[i]);
    }
  }

 private:
  static bool matches(text::RegexSearch& search, const std::string& value) {
    const bool ascii = std::all_of(value.begin(), value.end(),
                                   [](char c) { return static_cast<unsigned char>(c) < 0x80; });
    if (ascii) return !search.find_all(value).empty();
    text::AlignedText characters;
    text::decode_into(characters, value, 0);
    return !search.find_all(characters.data(), characters.data() + characters.size()).empty();
  }

  text::Regex regex_;
};

}  // namespace

const CpuImplementation kRegexFullMatchCpu[1] = {
    {"regex", refuse_nothing, create_kernel<MatchKernel>}};

}  // namespace tercel::ops
