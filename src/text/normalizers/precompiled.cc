// SentencePiece's character map, in the way of the `tokenizers` package: it looks up each grapheme
// cluster of at most five bytes, and else each character, and takes the shortest rule that begins
// there for the whole of it.

#include <array>
#include <optional>

#include <utf8proc.h>

#include "src/base/fail.h"
#include "src/text/base64.h"
#include "src/text/chars_map.h"
#include "src/text/normalizer.h"
#include "src/text/utf8.h"

namespace tercel::text {
namespace {

constexpr std::size_t kMaxClusterBytes = 5;
constexpr std::size_t kMaxCharBytes = 4;

std::optional<std::string_view> shortest_rule(const CharsMap& map, std::string_view part) {
  for (std::size_t length = 1; length <= part.size(); ++length) {
    if (const auto rule = map.exact(part.substr(0, length))) return rule;
  }
  return std::nullopt;
}

class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(CharsMap map) : map_(std::move(map)) {
    for (std::size_t c = 0; c < ascii_.size(); ++c) {
      const char byte = static_cast<char>(c);
      const auto rule = shortest_rule(map_, std::string_view(&byte, 1));
      ascii_[c] = !rule                                  ? static_cast<int16_t>(c)
                  : rule->size() == 1 && is_ascii(*rule) ? static_cast<int16_t>((*rule)[0])
                                                         : int16_t{-1};
    }
  }

  void apply(AlignedText& text) const override {
    std::vector<RewrittenChar> result;
    result.reserve(text.size());
    bool modified = false;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = cluster_end(text, begin);
      check_growth(text, result.size());
      if (!rewrite_part(text, begin, end, kMaxClusterBytes, result)) {
        for (std::size_t i = begin; i < end; ++i) {
          if (rewrite_part(text, i, i + 1, kMaxCharBytes, result)) {
            modified = true;
          } else {
            result.push_back({text[i].code, 0});
          }
        }
      } else {
        modified = true;
      }
      begin = end;
    }
    if (modified) rewrite(text, result);
  }

  bool apply_ascii(std::string& ascii) const override {
    for (std::size_t i = 0; i < ascii.size(); ++i) {
      const int16_t rule = ascii_[static_cast<unsigned char>(ascii[i]) & 0x7F];
      if (rule < 0 || (ascii[i] == '\r' && i + 1 < ascii.size() && ascii[i + 1] == '\n')) {
        return false;
      }
      ascii[i] = static_cast<char>(rule);
    }
    return true;
  }

  // A character that is removed at the beginning moves the origins of those after it: so does
  // `tokenizers`.
  bool is_local() const override { return false; }

 private:
  static std::size_t cluster_end(const AlignedText& text, std::size_t begin) {
    utf8proc_int32_t state = 0;
    std::size_t end = begin + 1;
    while (end < text.size() && !utf8proc_grapheme_break_stateful(
                                    static_cast<utf8proc_int32_t>(text[end - 1].code),
                                    static_cast<utf8proc_int32_t>(text[end].code), &state)) {
      ++end;
    }
    return end;
  }

  // Whether there is a rule for these characters, which is applied.
  bool rewrite_part(const AlignedText& text, std::size_t begin, std::size_t end,
                    std::size_t max_bytes, std::vector<RewrittenChar>& result) const {
    std::string part;
    for (std::size_t i = begin; i < end && part.size() <= max_bytes; ++i) {
      append_utf8(part, text[i].code);
    }
    if (part.size() > max_bytes) return false;
    const auto rule = shortest_rule(map_, part);
    if (!rule) return false;
    const std::u32string to = to_utf32(*rule);
    const std::size_t from = end - begin;
    for (std::size_t i = 0; i < to.size(); ++i) result.push_back({to[i], i < from ? 0 : 1});
    if (to.size() < from && !result.empty()) {
      result.back().change -= static_cast<int>(from - to.size());
    }
    return true;
  }

  CharsMap map_;
  std::array<int16_t, 128> ascii_{};  // what a character becomes; -1: not one ASCII character
};

}  // namespace

std::unique_ptr<const Normalizer> make_precompiled(const Json& config) {
  const Json charsmap = config["precompiled_charsmap"];
  const auto bytes = decode_base64(charsmap.string());
  if (!bytes) charsmap.reject("base64");
  if (bytes->empty()) return std::make_unique<Precompiled>(CharsMap());
  return std::make_unique<Precompiled>(CharsMap(*bytes, "tokenizer.json"));
}

}  // namespace tercel::text
