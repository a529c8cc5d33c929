#include "src/text/encoding.h"

#include <algorithm>
#include <iterator>

#include "src/base/fail.h"

namespace tercel::text {
namespace {

constexpr std::size_t kMaxWindows = std::size_t{1} << 20;
constexpr std::size_t kMaxPaddedLength = std::size_t{1} << 24;

// Calls visit(vector of head, vector of tail) for each of the per-token vectors.
template <class A, class B, class F>
void for_each_field(A& a, B& b, F&& visit) {
  visit(a.ids, b.ids);
  visit(a.type_ids, b.type_ids);
  visit(a.attention_mask, b.attention_mask);
  visit(a.special_tokens_mask, b.special_tokens_mask);
  visit(a.offsets, b.offsets);
  visit(a.sequence_ids, b.sequence_ids);
  visit(a.word_ids, b.word_ids);
}

void append_tokens(Encoding& head, const Encoding& tail) {
  for_each_field(head, tail,
                 [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); });
}

void prepend_tokens(const Encoding& head, Encoding& tail) {
  for_each_field(tail, head, [](auto& to, const auto& from) {
    to.insert(to.begin(), from.begin(), from.end());
  });
}

Encoding slice(const Encoding& encoding, std::size_t begin, std::size_t end) {
  Encoding result;
  for_each_field(result, encoding, [&](auto& to, const auto& from) {
    to.assign(from.begin() + static_cast<std::ptrdiff_t>(begin),
              from.begin() + static_cast<std::ptrdiff_t>(end));
  });
  return result;
}

Encoding copy_tokens(const Encoding& encoding) { return slice(encoding, 0, encoding.size()); }

void pad(Encoding& encoding, std::size_t length, const Padding& padding) {
  for (Encoding& window : encoding.overflowing) pad(window, length, padding);
  if (encoding.size() >= length) return;
  const std::size_t count = length - encoding.size();
  const auto fill = [&](auto& values, auto value) {
    const auto at = padding.direction == TextDirection::left ? values.begin() : values.end();
    values.insert(at, count, value);
  };
  fill(encoding.ids, padding.pad_id);
  fill(encoding.type_ids, padding.pad_type_id);
  fill(encoding.attention_mask, 0);
  fill(encoding.special_tokens_mask, 1);
  fill(encoding.offsets, TextSpan{});
  fill(encoding.sequence_ids, -1);
  fill(encoding.word_ids, -1);
}

// The lengths that longest_first leaves of two texts.
std::pair<std::size_t, std::size_t> longest_first_lengths(std::size_t first, std::size_t second,
                                                          std::size_t max_length) {
  std::size_t shorter = std::min(first, second);
  std::size_t longer = shorter > max_length ? shorter : std::max(shorter, max_length - shorter);
  if (shorter + longer > max_length) {
    shorter = max_length / 2;
    longer = shorter + max_length % 2;
  }
  return first > second ? std::pair(longer, shorter) : std::pair(shorter, longer);
}

}  // namespace

Encoding make_encoding(const TokenList& tokens, int32_t sequence, std::size_t room) {
  Encoding result;
  const std::size_t size = tokens.size();
  for_each_field(result, result, [&](auto& to, const auto&) { to.reserve(size + room); });
  result.ids = tokens.ids;
  result.offsets = tokens.offsets;
  result.word_ids = tokens.word_ids;
  result.type_ids.assign(size, sequence);
  result.sequence_ids.assign(size, sequence);
  result.attention_mask.assign(size, 1);
  result.special_tokens_mask.assign(size, 0);
  return result;
}

Encoding special_encoding(const std::vector<int32_t>& ids, int32_t type_id) {
  Encoding result;
  result.ids = ids;
  result.type_ids.assign(ids.size(), type_id);
  result.attention_mask.assign(ids.size(), 1);
  result.special_tokens_mask.assign(ids.size(), 1);
  result.offsets.assign(ids.size(), TextSpan{});
  result.sequence_ids.assign(ids.size(), -1);
  result.word_ids.assign(ids.size(), -1);
  return result;
}

void append(Encoding& head, Encoding&& tail) {
  if (head.overflowing.empty() && head.size() < tail.size()) {
    // The longer one stays where it is.
    for (Encoding& window : tail.overflowing) prepend_tokens(head, window);
    prepend_tokens(head, tail);
    head = std::move(tail);
    return;
  }
  if (!tail.overflowing.empty()) {
    if ((head.overflowing.size() + 1) * (tail.overflowing.size() + 1) > kMaxWindows) {
      fail(Errc::invalid_argument,
           "truncating both texts gives {} x {} windows: truncate only one of them, or do not keep "
           "what overflows",
           head.overflowing.size() + 1, tail.overflowing.size() + 1);
    }
    std::vector<Encoding> windows;
    const auto join = [&](const Encoding& first, const Encoding& second) {
      windows.push_back(copy_tokens(first));
      append_tokens(windows.back(), second);
    };
    for (const Encoding& first : head.overflowing) {
      join(first, tail);
      for (const Encoding& second : tail.overflowing) join(first, second);
    }
    for (const Encoding& second : tail.overflowing) join(head, second);
    head.overflowing = std::move(windows);
  } else {
    for (Encoding& window : head.overflowing) append_tokens(window, tail);
  }
  append_tokens(head, tail);
}

void truncate(Encoding& encoding, std::size_t max_length, std::size_t stride,
              TextDirection direction, bool keep_overflowing) {
  const std::size_t size = encoding.size();
  if (max_length >= size) return;
  if (max_length == 0) {
    Encoding nothing;
    if (keep_overflowing) nothing.overflowing.push_back(std::move(encoding));
    encoding = std::move(nothing);
    return;
  }
  if (stride >= max_length) {
    fail(
        Errc::invalid_argument,
        "a stride of {} tokens leaves nothing of a window that holds {} tokens of the text: choose "
        "a smaller stride or a larger max_length",
        stride, max_length);
  }
  const std::size_t step = max_length - stride;
  std::vector<Encoding> windows;
  for (std::size_t moved = 0;; moved += step) {
    // Seen from the left, or from the right with what remains as the last window.
    const std::size_t begin = direction == TextDirection::right ? moved
                              : size - moved > max_length       ? size - moved - max_length
                                                                : 0;
    const std::size_t end =
        direction == TextDirection::right ? std::min(size, moved + max_length) : size - moved;
    windows.push_back(slice(encoding, begin, end));
    const bool last = direction == TextDirection::right ? end == size : begin == 0;
    if (last || !keep_overflowing) break;
  }
  encoding = std::move(windows.front());
  encoding.overflowing.assign(std::make_move_iterator(windows.begin() + 1),
                              std::make_move_iterator(windows.end()));
}

void truncate_all(std::vector<Encoding>& encodings, const Truncation& truncation,
                  bool keep_overflowing) {
  const auto cut = [&](Encoding& encoding, std::size_t length) {
    truncate(encoding, length, truncation.stride, truncation.direction, keep_overflowing);
  };
  if (truncation.max_length == 0) {
    for (Encoding& encoding : encodings) cut(encoding, 0);
    return;
  }
  const std::size_t first = encodings[0].size();
  const std::size_t second = encodings.size() > 1 ? encodings[1].size() : 0;
  if (first + second <= truncation.max_length) return;
  const std::size_t excess = first + second - truncation.max_length;
  if (truncation.strategy == TruncationStrategy::longest_first) {
    if (encodings.size() == 1) {
      cut(encodings[0], truncation.max_length);
      return;
    }
    const auto lengths = longest_first_lengths(first, second, truncation.max_length);
    cut(encodings[0], lengths.first);
    cut(encodings[1], lengths.second);
    return;
  }
  const std::size_t target = truncation.strategy == TruncationStrategy::only_first ? 0 : 1;
  if (target >= encodings.size()) {
    fail(Errc::invalid_argument,
         "truncation is only_second, but there is one text: use only_first or longest_first");
  }
  if (encodings[target].size() <= excess) {
    fail(Errc::invalid_argument,
         "the {} text has {} tokens and alone fills a window with room for {}: shorten it, raise "
         "max_length, or truncate by longest_first",
         target == 0 ? "second" : "first", encodings[1 - target].size(), truncation.max_length);
  }
  cut(encodings[target], encodings[target].size() - excess);
}

void pad_all(std::vector<Encoding>& encodings, const Padding& padding) {
  std::size_t length = padding.length.value_or(0);
  if (!padding.length) {
    for (const Encoding& encoding : encodings) length = std::max(length, encoding.size());
  }
  if (padding.multiple_of > 1 && length % padding.multiple_of != 0) {
    const std::size_t missing = padding.multiple_of - length % padding.multiple_of;
    length = missing > kMaxPaddedLength ? kMaxPaddedLength + 1 : length + missing;
  }
  if ((padding.length || padding.multiple_of > 1) && length > kMaxPaddedLength) {
    fail(Errc::invalid_argument,
         "padding to more than {} tokens is refused: choose a smaller length", kMaxPaddedLength);
  }
  for (Encoding& encoding : encodings) pad(encoding, length, padding);
}

}  // namespace tercel::text
