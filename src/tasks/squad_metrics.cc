#include <algorithm>
#include <map>

#include "src/text/unicode.h"
#include "src/text/utf8.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kFinalSigma = 0x3C2;

// What Python's regular expressions call a word character: alphanumeric, or the underscore.
bool is_word(char32_t code) {
  if (code == U'_') return true;
  const uint16_t classes = text::char_class(code);
  constexpr uint16_t kNotInPython =
      text::kMark | text::kNonspacing | text::kPunctuation | text::kOther;
  return (classes & text::kNumeric) != 0 ||
         ((classes & text::kWord) != 0 && (classes & kNotInPython) == 0);
}

bool is_space(char32_t code) {
  return (code >= 0x1C && code <= 0x1F) || text::is(code, text::kWhite);
}

bool is_ascii_punctuation(char32_t code) {
  return code < 0x80 && text::is(code, text::kPunctuation);
}

// Lower case as Unicode has it; a capital sigma that ends a word has a form of its own.
std::u32string lowered(std::u32string_view text) {
  std::u32string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool ends_word =
        i > 0 && is_word(text[i - 1]) && (i + 1 == text.size() || !is_word(text[i + 1]));
    if (text[i] == kCapitalSigma && ends_word) {
      result += kFinalSigma;
      continue;
    }
    char32_t out[2];
    result.append(out, text::lowercase(text[i], out));
  }
  return result;
}

using Words = std::vector<std::u32string>;

// The words that are left when case, punctuation and articles are not looked at.
Words normalized_words(std::string_view text) {
  std::u32string kept = lowered(text::to_utf32(text));
  std::erase_if(kept, is_ascii_punctuation);
  for (std::size_t begin = 0; begin < kept.size();) {
    std::size_t end = begin;
    while (end < kept.size() && is_word(kept[end])) ++end;
    const std::u32string_view run(kept.data() + begin, end - begin);
    if (run == U"a" || run == U"an" || run == U"the") {
      std::fill(kept.begin() + static_cast<std::ptrdiff_t>(begin),
                kept.begin() + static_cast<std::ptrdiff_t>(end), U' ');
    }
    begin = end + (end == begin ? 1 : 0);
  }
  Words words;
  bool inside = false;
  for (const char32_t code : kept) {
    if (is_space(code)) {
      inside = false;
      continue;
    }
    if (!inside) words.emplace_back();
    inside = true;
    words.back() += code;
  }
  return words;
}

double f1_of_words(const Words& prediction, const Words& reference) {
  std::map<std::u32string_view, int> left;
  for (const auto& word : reference) ++left[word];
  int common = 0;
  for (const auto& word : prediction) common += left[word]-- > 0 ? 1 : 0;
  if (common == 0) return 0;
  const double precision = static_cast<double>(common) / static_cast<double>(prediction.size());
  const double recall = static_cast<double>(common) / static_cast<double>(reference.size());
  return 100 * 2 * precision * recall / (precision + recall);
}

}  // namespace

double squad_exact_match(std::string_view prediction, std::span<const std::string> references) {
  const Words words = normalized_words(prediction);
  if (references.empty()) return words.empty() ? 100 : 0;
  return std::any_of(references.begin(), references.end(),
                     [&](const std::string& text) { return normalized_words(text) == words; })
             ? 100
             : 0;
}

double squad_f1(std::string_view prediction, std::span<const std::string> references) {
  const Words words = normalized_words(prediction);
  if (references.empty()) return words.empty() ? 100 : 0;
  double best = 0;
  for (const std::string& text : references) {
    best = std::max(best, f1_of_words(words, normalized_words(text)));
  }
  return best;
}

}  // namespace tercel::tasks
