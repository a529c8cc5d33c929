#include <algorithm>
#include <limits>

#include "src/text/pre_tokenizer.h"

namespace tercel::text {
namespace {

// Words of so many characters; the last may be shorter.
class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(const Json& config) {
    const int64_t length = config.integer_or("length", 5);
    if (length < 1) config["length"].reject("a number of characters, at least 1");
    length_ =
        static_cast<uint32_t>(std::min<int64_t>(length, std::numeric_limits<uint32_t>::max()));
  }
  void apply(SplitText& text) const override { split(text.words); }
  bool apply_ascii(AsciiSplit& text) const override {
    if (text.alphabet != nullptr) return false;
    split(text.words);
    return true;
  }

 private:
  void split(std::vector<IndexRange>& words) const {
    std::vector<IndexRange> result;
    for (IndexRange word : words) {
      for (; word.end - word.begin > length_; word.begin += length_) {
        result.push_back({word.begin, word.begin + length_});
      }
      result.push_back(word);
    }
    words = std::move(result);
  }

  uint32_t length_;
};

}  // namespace

std::unique_ptr<const PreTokenizer> make_fixed_length(const Json& config) {
  return std::make_unique<FixedLength>(config);
}

}  // namespace tercel::text
