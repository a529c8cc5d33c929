#include "src/text/unicode.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>

#include <utf8proc.h>

namespace tercel::text {
namespace {

struct CodeRange {
  char32_t first;
  char32_t last;
};
struct CodePair {
  char32_t from;
  char32_t to;
};

#include "src/text/unicode_differences.inc"

template <std::size_t N>
bool contains(const CodeRange (&ranges)[N], char32_t code) {
  const auto* range = std::lower_bound(std::begin(ranges), std::end(ranges), code,
                                       [](const CodeRange& r, char32_t c) { return r.last < c; });
  return range != std::end(ranges) && range->first <= code;
}

bool is_category(utf8proc_category_t category, std::initializer_list<utf8proc_category_t> set) {
  return std::find(set.begin(), set.end(), category) != set.end();
}

bool is_chinese(char32_t c) {
  // BERT's list, whose gap 2B820..2B91F is an old slip that every tokenizer since repeats.
  static constexpr CodeRange kBlocks[] = {
      {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
      {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
  return contains(kBlocks, c);
}

uint16_t general_classes(char32_t code) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  const bool space =
      is_category(category, {UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZL, UTF8PROC_CATEGORY_ZP});
  const bool layout = code == '\t' || code == '\n' || code == '\r';
  const bool ascii_symbol = code > ' ' && code < 0x7F &&
                            is_category(category, {UTF8PROC_CATEGORY_SM, UTF8PROC_CATEGORY_SC,
                                                   UTF8PROC_CATEGORY_SK, UTF8PROC_CATEGORY_SO});
  const bool other =
      is_category(category, {UTF8PROC_CATEGORY_CC, UTF8PROC_CATEGORY_CF, UTF8PROC_CATEGORY_CO});
  const bool mark =
      is_category(category, {UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_MC, UTF8PROC_CATEGORY_ME});
  const bool number =
      is_category(category, {UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NL, UTF8PROC_CATEGORY_NO});
  const bool letter =
      is_category(category, {UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LT,
                             UTF8PROC_CATEGORY_LM, UTF8PROC_CATEGORY_LO});
  const bool punctuation = category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
  const bool word =
      letter || mark ||
      is_category(category, {UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NL, UTF8PROC_CATEGORY_PC});
  uint16_t classes = 0;
  const auto set = [&](uint16_t bit, bool holds) { classes |= holds ? bit : 0; };
  set(kWhite, space || (code >= '\t' && code <= '\r') || code == 0x85);
  set(kPunctuation, (punctuation || ascii_symbol) != contains(kPunctuationDiffers, code));
  set(kOther, (other && !layout) != contains(kOtherDiffers, code));
  set(kMark, mark != contains(kMarkDiffers, code));
  set(kNonspacing, (category == UTF8PROC_CATEGORY_MN) != contains(kNonspacingDiffers, code));
  set(kWord, word != contains(kWordDiffers, code));
  set(kNumeric, number != contains(kNumericDiffers, code));
  set(kChinese, is_chinese(code));
  return classes;
}

uint16_t all_classes(char32_t code) {
  uint16_t classes = general_classes(code);
  char32_t out[kMaxDecomposition];
  if (lowercase(code, out) != 1 || out[0] != code) classes |= kCased;
  if (decompose(code, false, out) != 1 || out[0] != code) classes |= kDecomposes;
  if (decompose(code, true, out) != 1 || out[0] != code) classes |= kCompatDecomposes;
  if (combining_class(code) != 0) classes |= kCombining;
  return classes;
}

using Page = std::array<uint16_t, 256>;
// Pages live as long as the process: at most 2.2 MB, a few kilobytes for common scripts.
std::atomic<const Page*> pages[0x1100];

const Page* make_page(char32_t number) {
  auto page = std::make_unique<Page>();
  for (char32_t i = 0; i < 256; ++i) (*page)[i] = all_classes(number * 256 + i);
  const Page* expected = nullptr;
  if (pages[number].compare_exchange_strong(expected, page.get(), std::memory_order_acq_rel)) {
    return page.release();
  }
  return expected;
}

}  // namespace

uint16_t char_class(char32_t code) {
  const char32_t number = code >> 8;
  const Page* page = pages[number].load(std::memory_order_acquire);
  if (page == nullptr) page = make_page(number);
  return (*page)[code & 0xFF];
}

std::size_t lowercase(char32_t code, char32_t out[2]) {
  if (code == 0x130) {  // the only character whose lower case is two: i and a dot above
    out[0] = 'i';
    out[1] = 0x307;
    return 2;
  }
  const auto* pair =
      std::lower_bound(std::begin(kLowercaseDiffers), std::end(kLowercaseDiffers), code,
                       [](const CodePair& p, char32_t c) { return p.from < c; });
  if (pair != std::end(kLowercaseDiffers) && pair->from == code) {
    out[0] = pair->to;
  } else {
    out[0] = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
  }
  return 1;
}

uint8_t combining_class(char32_t code) {
  if (contains(kCombiningClassIsZero, code)) return 0;
  return static_cast<uint8_t>(
      utf8proc_get_property(static_cast<utf8proc_int32_t>(code))->combining_class);
}

std::size_t decompose(char32_t code, bool compatibility, char32_t out[kMaxDecomposition]) {
  out[0] = code;
  if (code < 0x80 || contains(kNeverDecomposes, code)) return 1;
  utf8proc_int32_t buffer[kMaxDecomposition];
  const int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (compatibility ? UTF8PROC_COMPAT : 0);
  const auto count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), buffer, kMaxDecomposition,
                              static_cast<utf8proc_option_t>(options), nullptr);
  if (count <= 0 || static_cast<std::size_t>(count) > kMaxDecomposition) return 1;
  std::copy_n(buffer, count, out);
  return static_cast<std::size_t>(count);
}

char32_t compose(char32_t first, char32_t second) {
  if (second < 0x300) return 0;  // no composite ends in a Latin letter
  utf8proc_int32_t pair[2] = {static_cast<utf8proc_int32_t>(first),
                              static_cast<utf8proc_int32_t>(second)};
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  if (utf8proc_normalize_utf32(pair, 2, options) != 1) return 0;
  const auto composite = static_cast<char32_t>(pair[0]);
  return contains(kNeverDecomposes, composite) ? 0 : composite;
}

}  // namespace tercel::text
