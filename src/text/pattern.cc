#include "src/text/pattern.h"

#include <string>

#include "src/text/utf8.h"

namespace tercel::text {
namespace {

std::string escaped(std::string_view text) {
  constexpr std::string_view kSpecial = R"(\.+*?()|[]{}^$)";
  std::string result;
  for (const char c : text) {
    if (kSpecial.find(c) != kSpecial.npos) result += '\\';
    result += c;
  }
  return result;
}

}  // namespace

TextPattern::TextPattern(const Json& pattern) {
  if (const auto regex = pattern.find("Regex")) {
    regex_ = std::make_unique<const Regex>(regex->string());
    return;
  }
  const std::string_view text = pattern["String"].string();
  if (!text.empty() && decode_first(text).length == text.size()) {
    single_ = decode_first(text).code;
  } else {
    regex_ = std::make_unique<const Regex>(escaped(text));
  }
}

PatternSearch::PatternSearch(const TextPattern& pattern) : single_(pattern.single_) {
  if (pattern.regex_) search_.emplace(*pattern.regex_);
}

const std::vector<IndexRange>& PatternSearch::find_all(std::string_view ascii) {
  if (search_) return search_->find_all(ascii);
  matches_.clear();
  for (uint32_t i = 0; i < ascii.size(); ++i) {
    if (static_cast<unsigned char>(ascii[i]) == *single_) matches_.push_back({i, i + 1});
  }
  return matches_;
}

const std::vector<IndexRange>& PatternSearch::find_all(const AlignedChar* begin,
                                                       const AlignedChar* end) {
  if (search_) return search_->find_all(begin, end);
  matches_.clear();
  for (const AlignedChar* at = begin; at != end; ++at) {
    const auto index = static_cast<uint32_t>(at - begin);
    if (at->code == *single_) matches_.push_back({index, index + 1});
  }
  return matches_;
}

}  // namespace tercel::text
