#include "src/text/normal_forms.h"

#include <algorithm>

#include "src/text/unicode.h"

namespace tercel::text {
namespace {

struct Part {
  char32_t code;
  int change;
  uint8_t combining;
};

std::vector<Part> decomposed(const AlignedText& text, bool compatibility) {
  const uint16_t changes = compatibility ? kCompatDecomposes : kDecomposes;
  std::vector<Part> parts;
  parts.reserve(text.size() + text.size() / 4);
  std::size_t pending = 0;  // parts from here on wait for canonical ordering
  const auto sort_pending = [&] {
    std::stable_sort(parts.begin() + static_cast<std::ptrdiff_t>(pending), parts.end(),
                     [](const Part& a, const Part& b) { return a.combining < b.combining; });
  };
  const auto push = [&](char32_t code, int change) {
    const uint8_t combining = is(code, kCombining) ? combining_class(code) : 0;
    if (combining == 0 && pending < parts.size()) {
      sort_pending();
      pending = parts.size();
    }
    parts.push_back({code, change, combining});
    if (combining == 0) pending = parts.size();
  };
  for (const AlignedChar& c : text) {
    if (!is(c.code, changes)) {
      push(c.code, 0);
      continue;
    }
    char32_t out[kMaxDecomposition];
    const std::size_t count = decompose(c.code, compatibility, out);
    for (std::size_t i = 0; i < count; ++i) push(out[i], i == 0 ? 0 : 1);
  }
  sort_pending();
  return parts;
}

// UAX #15, canonical composition. A composite counts its removed part as a negative change.
void recompose(std::vector<Part>& parts) {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::size_t starter = kNone;
  int last_combining = -1;  // of the characters kept since the starter; -1: none kept
  std::size_t kept = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Part part = parts[i];
    if (starter != kNone && (last_combining == -1 || last_combining < part.combining)) {
      if (const char32_t composite = compose(parts[starter].code, part.code); composite != 0) {
        parts[starter].code = composite;
        parts[starter].change += part.change - 1;
        continue;
      }
    }
    if (part.combining == 0) {
      starter = kept;
      last_combining = -1;
    } else {
      last_combining = part.combining;
    }
    parts[kept++] = part;
  }
  parts.resize(kept);
}

}  // namespace

void normalize(AlignedText& text, NormalForm form) {
  const bool compatibility = form == NormalForm::nfkc || form == NormalForm::nfkd;
  const bool composes = form == NormalForm::nfc || form == NormalForm::nfkc;
  const auto inert = [&](const AlignedChar& c) {
    if (c.code < 0x80) return true;
    if (composes && c.code >= 0x300) return false;  // may compose with the character before it
    return !is(c.code, kCombining | (compatibility ? kCompatDecomposes : kDecomposes));
  };
  if (std::all_of(text.begin(), text.end(), inert)) return;
  std::vector<Part> parts = decomposed(text, compatibility);
  if (composes) recompose(parts);
  std::vector<RewrittenChar> result;
  result.reserve(parts.size());
  for (const Part& part : parts) result.push_back({part.code, part.change});
  rewrite(text, result);
}

}  // namespace tercel::text
