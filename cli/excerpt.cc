#include "cli/excerpt.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "cli/files.h"

namespace tercel::cli {
namespace {

constexpr std::size_t kReach = 240;  // bytes shown on each side at most

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

// Whether a sentence ends with the character before `at`.
bool sentence_ends(std::string_view text, std::size_t at) {
  if (at >= 2 && text[at - 1] == '\n' && text[at - 2] == '\n') return true;
  if (at == 0 || (at < text.size() && !is_space(text[at]))) return false;
  std::size_t last = at;
  while (last > 1 && (text[last - 1] == '"' || text[last - 1] == ')' || text[last - 1] == '\'')) {
    --last;
  }
  const char stop = text[last - 1];
  if (stop == '!' || stop == '?') return true;
  // A single capital before the dot is an initial.
  const bool initial = last >= 2 && std::isupper(static_cast<unsigned char>(text[last - 2])) != 0 &&
                       (last == 2 || is_space(text[last - 3]) || text[last - 3] == '.');
  return stop == '.' && !initial;
}

bool continues_character(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

}  // namespace

Marks answer_marks() {
  const char* terminal = std::getenv("TERM");
  const bool plain = std::getenv("NO_COLOR") != nullptr || terminal == nullptr ||
                     std::string_view(terminal) == "dumb";
  if (stdout_is_terminal() && !plain) return {"\x1b[1;32m", "\x1b[0m"};
  return {"»", "«"};
}

std::string excerpt(std::string_view document, std::size_t begin, std::size_t end,
                    const Marks& marks) {
  std::size_t from = begin;
  const std::size_t lowest = begin > kReach ? begin - kReach : 0;
  while (from > lowest && !sentence_ends(document, from)) --from;
  const bool cut_front = from > 0 && !sentence_ends(document, from);
  if (cut_front) {
    while (from < begin && !is_space(document[from])) ++from;
    while (from < begin && continues_character(document, from)) ++from;
  }
  std::size_t to = end;
  const std::size_t highest = std::min(document.size(), end + kReach);
  while (to < highest && (to == end || !sentence_ends(document, to))) ++to;
  const bool cut_back = to < document.size() && !sentence_ends(document, to);
  if (cut_back) {
    std::size_t space = to;
    while (space > end && !is_space(document[space])) --space;
    if (space > end) to = space;
    while (to > end && continues_character(document, to)) --to;
  }

  const std::string before = one_line(document.substr(from, begin - from));
  const std::string after = one_line(document.substr(end, to - end));
  const auto gap = [&](std::size_t at) { return at < document.size() && is_space(document[at]); };
  std::string result = cut_front ? "… " : "";
  result += before;
  if (!before.empty() && begin > 0 && gap(begin - 1)) result += ' ';
  result += marks.before;
  result += one_line(document.substr(begin, end - begin));
  result += marks.after;
  if (!after.empty() && gap(end)) result += ' ';
  result += after;
  if (cut_back) result += " …";
  return result;
}

}  // namespace tercel::cli
