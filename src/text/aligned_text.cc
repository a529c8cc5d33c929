#include "src/text/aligned_text.h"

#include <algorithm>

#include "src/base/fail.h"
#include "src/text/utf8.h"

namespace tercel::text {

void check_growth(const AlignedText& text, std::size_t chars) {
  // The longest rewriting of Unicode's own makes 18 characters of 3 bytes. Without a bound, a file
  // could make each character of a text as long as itself.
  constexpr std::size_t kMaxGrowth = 16;
  constexpr std::size_t kAlwaysAllowed = std::size_t{1} << 20;
  const std::size_t bytes = text.empty() ? 0 : text.back().origin.end - text.front().origin.begin;
  if (chars <= kAlwaysAllowed || chars <= kMaxGrowth * bytes) return;
  fail(Errc::invalid_file,
       "the normalizer makes {} characters of {} bytes of text; at most {} for each "
       "byte are supported",
       chars, bytes, kMaxGrowth);
}

void decode_into(AlignedText& result, std::string_view text, uint32_t base) {
  result.clear();
  result.reserve(text.size());
  while (!text.empty()) {
    const CodePoint next = decode_first(text);
    result.push_back({next.code, {base, base + next.length}});
    base += next.length;
    text.remove_prefix(next.length);
  }
}

void RenderedText::assign(const AlignedChar* begin, const AlignedChar* end) {
  bytes.clear();
  char_of.clear();
  for (const AlignedChar* at = begin; at != end; ++at) {
    append_utf8(bytes, at->code);
    char_of.resize(bytes.size(), static_cast<uint32_t>(at - begin));
  }
}

void rewrite(AlignedText& text, const std::vector<RewrittenChar>& to) {
  AlignedText result;
  result.reserve(to.size());
  std::size_t at = 0;
  for (const RewrittenChar& next : to) {
    const bool inserted = next.change > 0;
    const std::size_t source = inserted ? (at == 0 ? 0 : at - 1) : at;
    result.push_back({next.code, text[std::min(source, text.size() - 1)].origin});
    if (!inserted) at += 1 + static_cast<std::size_t>(-next.change);
  }
  text = std::move(result);
}

void replace(AlignedText& text, const std::vector<IndexRange>& matches,
             const std::u32string& content) {
  if (matches.empty()) return;
  check_growth(text, text.size() + matches.size() * content.size());
  AlignedText result;
  result.reserve(text.size());
  uint32_t copied = 0;
  for (const IndexRange match : matches) {
    result.insert(result.end(), text.begin() + copied, text.begin() + match.begin);
    const uint32_t start = text.front().origin.begin;
    const TextSpan origin = match.end == 0 ? TextSpan{start, start} : text[match.end - 1].origin;
    for (const char32_t code : content) result.push_back({code, origin});
    copied = match.end;
  }
  result.insert(result.end(), text.begin() + copied, text.end());
  text = std::move(result);
}

void prepend(AlignedText& text, const std::u32string& prefix) {
  if (text.empty()) return;
  check_growth(text, text.size() + prefix.size());
  const TextSpan origin = text.front().origin;
  text.insert(text.begin(), prefix.size(), {0, origin});
  std::transform(prefix.begin(), prefix.end(), text.begin(), [&](char32_t code) {
    return AlignedChar{code, origin};
  });
}

}  // namespace tercel::text
