// The case of letters is Unicode's, one character for one, in every locale.

#include <algorithm>
#include <array>
#include <unordered_set>

#include <utf8proc.h>

#include "src/ops/cpu_text.h"
#include "src/ops/cpu_util.h"
#include "src/ops/strings/strings_cpu.h"

namespace tercel::ops {
namespace {

enum class Case { as_is, lower, upper };

// Bytes that are no UTF-8 stay as they are.
std::string in_case(const std::string& text, Case wanted) {
  if (wanted == Case::as_is) return text;
  std::string result;
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto size = static_cast<utf8proc_ssize_t>(text.size());
  for (utf8proc_ssize_t at = 0; at < size;) {
    utf8proc_int32_t letter = 0;
    const utf8proc_ssize_t length = utf8proc_iterate(bytes + at, size - at, &letter);
    if (length <= 0) {
      result += text[static_cast<std::size_t>(at++)];
      continue;
    }
    letter = wanted == Case::lower ? utf8proc_tolower(letter) : utf8proc_toupper(letter);
    std::array<utf8proc_uint8_t, 4> encoded{};
    const utf8proc_ssize_t written = utf8proc_encode_char(letter, encoded.data());
    result.append(reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(written));
    at += length;
  }
  return result;
}

Case case_of(const std::string& action) {
  return action == "LOWER" ? Case::lower : action == "UPPER" ? Case::upper : Case::as_is;
}

class NormalizerKernel final : public TextKernel {
 public:
  explicit NormalizerKernel(const KernelContext& context)
      : action_(case_of(context.node.string_or("case_change_action", "NONE"))),
        compared_(context.node.int_or("is_case_sensitive", 0) != 0 ? Case::as_is : Case::lower),
        label_(context.node.label()) {
    const ir::Attribute* words = context.node.find_attribute("stopwords");
    if (words == nullptr) return;
    for (const std::string& word : std::get<std::vector<std::string>>(words->data))
      stopwords_.insert(in_case(word, compared_));
  }
  bool allocates_outputs() const override { return true; }

  void run(const KernelRun& run) const override {
    Shape shape = run.inputs[0].shape();
    if (shape.size() != 1 && (shape.size() != 2 || shape[0] != 1)) {
      fail(Errc::invalid_argument, "{} its input is {}; expected [C] or [1, C]", label_,
           to_string(shape));
    }
    std::vector<const std::string*> kept;
    for (const std::string& text : run.inputs[0].strings()) {
      if (!stopwords_.contains(in_case(text, compared_))) kept.push_back(&text);
    }
    // Nothing that stays is one empty string.
    shape.back() = std::max<int64_t>(static_cast<int64_t>(kept.size()), 1);
    Tensor out = allocate_tensor(Dtype::string, shape, run.memory, "StringNormalizer");
    std::transform(kept.begin(), kept.end(), out.strings().begin(),
                   [&](const std::string* text) { return in_case(*text, action_); });
    run.outputs[0] = counted(out, run.memory, "StringNormalizer");
  }

 private:
  Case action_;
  Case compared_;  // how stop words and strings are compared
  std::string label_;
  std::unordered_set<std::string> stopwords_;
};

}  // namespace

const CpuImplementation kStringNormalizerCpu[1] = {
    {"normalizer", refuse_nothing, create_kernel<NormalizerKernel>}};

}  // namespace tercel::ops
