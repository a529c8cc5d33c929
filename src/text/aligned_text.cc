#include "src/text/aligned_text.h"

#include <algorithm>

#include "src/text/utf8.h"

namespace tercel::text {

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

void replace_all(AlignedText& text, const std::u32string& pattern, const std::u32string& content) {
  const auto equal = [](const AlignedChar& a, char32_t b) { return a.code == b; };
  auto match = std::search(text.begin(), text.end(), pattern.begin(), pattern.end(), equal);
  if (match == text.end()) return;
  AlignedText result;
  result.reserve(text.size());
  auto copied = text.begin();
  while (match != text.end()) {
    result.insert(result.end(), copied, match);
    copied = match + static_cast<std::ptrdiff_t>(pattern.size());
    const TextSpan origin = (copied - 1)->origin;
    for (const char32_t code : content) result.push_back({code, origin});
    match = std::search(copied, text.end(), pattern.begin(), pattern.end(), equal);
  }
  result.insert(result.end(), copied, text.end());
  text = std::move(result);
}

void prepend(AlignedText& text, const std::u32string& prefix) {
  if (text.empty()) return;
  const TextSpan origin = text.front().origin;
  text.insert(text.begin(), prefix.size(), {0, origin});
  std::transform(prefix.begin(), prefix.end(), text.begin(), [&](char32_t code) {
    return AlignedChar{code, origin};
  });
}

}  // namespace tercel::text
