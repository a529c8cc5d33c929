#include "src/text/regex/unicode_sets.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string>

#include <utf8proc.h>

namespace tercel::text {
namespace {

struct NamedScript {
  std::string_view name;
  uint8_t script;
};
struct NamedMask {
  std::string_view name;
  uint32_t mask;  // a bit for each general category
};

// Categories, in the order of the tables.
enum Category : uint8_t {
  kLu,
  kLl,
  kLt,
  kLm,
  kLo,
  kMn,
  kMc,
  kMe,
  kNd,
  kNl,
  kNo,
  kPc,
  kPd,
  kPs,
  kPe,  // NOLINT
  kPi,
  kPf,
  kPo,
  kSm,
  kSc,
  kSk,
  kSo,
  kZs,
  kZl,
  kZp,
  kCc,
  kCf,
  kCs,
  kCo,
  kCn,  // NOLINT
};

constexpr uint32_t mask_of(std::initializer_list<Category> categories) {
  uint32_t mask = 0;
  for (const Category category : categories) mask |= uint32_t{1} << category;
  return mask;
}

constexpr uint32_t kLetters = mask_of({kLu, kLl, kLt, kLm, kLo});
constexpr uint32_t kMarks = mask_of({kMn, kMc, kMe});
constexpr uint32_t kPunctuationMarks = mask_of({kPc, kPd, kPs, kPe, kPi, kPf, kPo});

constexpr NamedMask kCategories[] = {
    {"lu", mask_of({kLu})},
    {"uppercaseletter", mask_of({kLu})},
    {"ll", mask_of({kLl})},
    {"lowercaseletter", mask_of({kLl})},
    {"lt", mask_of({kLt})},
    {"titlecaseletter", mask_of({kLt})},
    {"lc", mask_of({kLu, kLl, kLt})},
    {"casedletter", mask_of({kLu, kLl, kLt})},
    {"lm", mask_of({kLm})},
    {"modifierletter", mask_of({kLm})},
    {"lo", mask_of({kLo})},
    {"otherletter", mask_of({kLo})},
    {"l", kLetters},
    {"letter", kLetters},
    {"mn", mask_of({kMn})},
    {"nonspacingmark", mask_of({kMn})},
    {"mc", mask_of({kMc})},
    {"spacingmark", mask_of({kMc})},
    {"me", mask_of({kMe})},
    {"enclosingmark", mask_of({kMe})},
    {"m", kMarks},
    {"mark", kMarks},
    {"combiningmark", kMarks},
    {"nd", mask_of({kNd})},
    {"decimalnumber", mask_of({kNd})},
    {"nl", mask_of({kNl})},
    {"letternumber", mask_of({kNl})},
    {"no", mask_of({kNo})},
    {"othernumber", mask_of({kNo})},
    {"n", mask_of({kNd, kNl, kNo})},
    {"number", mask_of({kNd, kNl, kNo})},
    {"pc", mask_of({kPc})},
    {"connectorpunctuation", mask_of({kPc})},
    {"pd", mask_of({kPd})},
    {"dashpunctuation", mask_of({kPd})},
    {"ps", mask_of({kPs})},
    {"openpunctuation", mask_of({kPs})},
    {"pe", mask_of({kPe})},
    {"closepunctuation", mask_of({kPe})},
    {"pi", mask_of({kPi})},
    {"initialpunctuation", mask_of({kPi})},
    {"pf", mask_of({kPf})},
    {"finalpunctuation", mask_of({kPf})},
    {"po", mask_of({kPo})},
    {"otherpunctuation", mask_of({kPo})},
    {"p", kPunctuationMarks},
    {"punctuation", kPunctuationMarks},
    {"punct", kPunctuationMarks},
    {"sm", mask_of({kSm})},
    {"mathsymbol", mask_of({kSm})},
    {"sc", mask_of({kSc})},
    {"currencysymbol", mask_of({kSc})},
    {"sk", mask_of({kSk})},
    {"modifiersymbol", mask_of({kSk})},
    {"so", mask_of({kSo})},
    {"othersymbol", mask_of({kSo})},
    {"s", mask_of({kSm, kSc, kSk, kSo})},
    {"symbol", mask_of({kSm, kSc, kSk, kSo})},
    {"zs", mask_of({kZs})},
    {"spaceseparator", mask_of({kZs})},
    {"zl", mask_of({kZl})},
    {"lineseparator", mask_of({kZl})},
    {"zp", mask_of({kZp})},
    {"paragraphseparator", mask_of({kZp})},
    {"z", mask_of({kZs, kZl, kZp})},
    {"separator", mask_of({kZs, kZl, kZp})},
    {"cc", mask_of({kCc})},
    {"control", mask_of({kCc})},
    {"cntrl", mask_of({kCc})},
    {"cf", mask_of({kCf})},
    {"format", mask_of({kCf})},
    {"cs", mask_of({kCs})},
    {"surrogate", mask_of({kCs})},
    {"co", mask_of({kCo})},
    {"privateuse", mask_of({kCo})},
    {"cn", mask_of({kCn})},
    {"unassigned", mask_of({kCn})},
    {"c", mask_of({kCc, kCf, kCs, kCo, kCn})},
    {"other", mask_of({kCc, kCf, kCs, kCo, kCn})},
    {"assigned", ~mask_of({kCn})},
    {"digit", mask_of({kNd})},
};

// Each entry of a table of runs is (first code point << 8 | value); a run ends where the next
// begins.
#include "src/text/regex/unicode_tables.inc"

template <class Predicate>
CharSet select_runs(std::span<const uint32_t> runs, Predicate&& holds) {
  std::vector<CharRange> ranges;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const char32_t end = i + 1 < runs.size() ? runs[i + 1] >> 8 : CharSet::kLast + 1;
    if (holds(static_cast<uint8_t>(runs[i] & 0xFF))) ranges.push_back({runs[i] >> 8, end - 1});
  }
  return CharSet(std::move(ranges));
}

CharSet category_set(uint32_t mask) {
  return select_runs(kCategoryRuns, [&](uint8_t value) { return ((mask >> value) & 1) != 0; });
}

CharSet set_of(std::span<const CharRange> ranges) {
  return CharSet(std::vector<CharRange>(ranges.begin(), ranges.end()));
}

CharSet alphabetic_set() {
  return category_set(kLetters | mask_of({kNl})) | set_of(kOtherAlphabetic);
}

struct NamedSet {
  std::string_view name;
  CharSet (*make)();
};

constexpr NamedSet kOtherSets[] = {
    {"any", [] { return CharSet::all(); }},
    {"ascii",
     [] {
       return CharSet({{0, 0x7F}});
     }},
    {"alpha", alphabetic_set},
    {"alphabetic", alphabetic_set},
    {"alnum", [] { return alphabetic_set() | digit_set(); }},
    {"blank",
     [] {
       return category_set(mask_of({kZs})) | CharSet({{'\t', '\t'}});
     }},
    {"lower", [] { return category_set(mask_of({kLl})) | set_of(kOtherLowercase); }},
    {"lowercase", [] { return category_set(mask_of({kLl})) | set_of(kOtherLowercase); }},
    {"space", [] { return white_space_set(); }},
    {"whitespace", [] { return white_space_set(); }},
    {"upper", [] { return category_set(mask_of({kLu})) | set_of(kOtherUppercase); }},
    {"uppercase", [] { return category_set(mask_of({kLu})) | set_of(kOtherUppercase); }},
    {"word", [] { return word_set(); }},
    {"xdigit", [] { return hex_digit_set(); }},
};

// Case folding (Unicode's CaseFolding.txt), as lists of characters that are equal but for case.
struct CaseFolds {
  std::map<char32_t, char32_t> to;                 // where a character folds to another one
  std::map<char32_t, std::vector<char32_t>> from;  // its inverse
  std::map<char32_t, std::u32string> several;      // where it folds to more than one
};

CaseFolds make_case_folds() {
  constexpr char32_t kLastCased = 0x1FFFF;
  constexpr std::size_t kLongest = 8;
  CaseFolds folds;
  for (char32_t code = 'A'; code <= kLastCased; ++code) {
    utf8proc_int32_t out[kLongest];
    const auto count =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(code), out, kLongest,
                                static_cast<utf8proc_option_t>(UTF8PROC_CASEFOLD), nullptr);
    if (count == 1 && static_cast<char32_t>(out[0]) != code) {
      folds.to[code] = static_cast<char32_t>(out[0]);
      folds.from[static_cast<char32_t>(out[0])].push_back(code);
    } else if (count > 1 && static_cast<std::size_t>(count) <= kLongest) {
      folds.several[code] = std::u32string(out, out + count);
    }
  }
  return folds;
}

const CaseFolds& case_folds() {
  static const CaseFolds folds = make_case_folds();
  return folds;
}

char32_t fold(char32_t code) {
  const auto found = case_folds().to.find(code);
  return found == case_folds().to.end() ? code : found->second;
}

}  // namespace

const CharSet& white_space_set() {
  static const CharSet set({{0x09, 0x0D},
                            {0x20, 0x20},
                            {0x85, 0x85},
                            {0xA0, 0xA0},
                            {0x1680, 0x1680},
                            {0x2000, 0x200A},
                            {0x2028, 0x2029},
                            {0x202F, 0x202F},
                            {0x205F, 0x205F},
                            {0x3000, 0x3000}});
  return set;
}

const CharSet& digit_set() {
  static const CharSet set = category_set(mask_of({kNd}));
  return set;
}

const CharSet& hex_digit_set() {
  static const CharSet set({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  return set;
}

const CharSet& word_set() {
  // Oniguruma counts the superscripts and fractions of Latin-1 as well.
  static const CharSet set = alphabetic_set() | category_set(kMarks | mask_of({kNd, kPc})) |
                             CharSet({{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}});
  return set;
}

std::optional<CharSet> find_property(std::string_view name) {
  std::string key;
  for (const char c : name) {
    if (c == ' ' || c == '-' || c == '_') continue;
    key += static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  }
  for (const NamedMask& category : kCategories) {
    if (category.name == key) return category_set(category.mask);
  }
  for (const NamedSet& set : kOtherSets) {
    if (set.name == key) return set.make();
  }
  for (const NamedScript& script : kScriptNames) {
    if (script.name != key) continue;
    return select_runs(kScriptRuns, [&](uint8_t value) { return value == script.script; });
  }
  return std::nullopt;
}

CharSet close_over_case(const CharSet& set) {
  std::vector<CharRange> ranges = set.ranges();
  for (const auto& [folded, others] : case_folds().from) {
    const bool any =
        set.contains(folded) || std::any_of(others.begin(), others.end(),
                                            [&](char32_t other) { return set.contains(other); });
    if (!any) continue;
    ranges.push_back({folded, folded});
    for (const char32_t other : others) ranges.push_back({other, other});
  }
  return CharSet(std::move(ranges));
}

bool folds_to_one(std::u32string_view text) {
  std::u32string folded(text);
  for (char32_t& code : folded) code = fold(code);
  return std::any_of(case_folds().several.begin(), case_folds().several.end(),
                     [&](const auto& pair) { return pair.second == folded; });
}

bool has_long_fold(const CharSet& set) {
  return std::any_of(case_folds().several.begin(), case_folds().several.end(),
                     [&](const auto& pair) { return set.contains(pair.first); });
}

uint8_t piece_script(char32_t code) {
  const auto* run = std::upper_bound(std::begin(kPieceScriptRuns), std::end(kPieceScriptRuns),
                                     (code << 8) | 0xFF);
  return static_cast<uint8_t>(*(run - 1) & 0xFF);
}

}  // namespace tercel::text
