#include "src/tasks/windows.h"

#include <algorithm>

#include "src/base/fail.h"
#include "tercel/tasks.h"

namespace tercel::tasks {
namespace {

constexpr std::size_t kMaxWindows = 65536;
// Enough of a text to see what the tokenizer puts around it.
constexpr std::size_t kSample = 1;

void append(TokenRow& row, const Encoding& encoding, std::size_t begin, std::size_t end) {
  row.ids.insert(row.ids.end(), encoding.ids.begin() + begin, encoding.ids.begin() + end);
  row.type_ids.insert(row.type_ids.end(), encoding.type_ids.begin() + begin,
                      encoding.type_ids.begin() + end);
}

void append(TokenRow& row, const TokenRow& part) {
  row.ids.insert(row.ids.end(), part.ids.begin(), part.ids.end());
  row.type_ids.insert(row.type_ids.end(), part.type_ids.begin(), part.type_ids.end());
}

// Tokens of the text that fit into a window beside all else.
std::size_t capacity_of(const Tokenizer& tokenizer, const std::string_view* question,
                        const WindowShape& shape) {
  if (shape.max_length < 1 || shape.stride < 0) {
    fail(Errc::invalid_argument,
         "max_length = {}, stride = {}: expected at least 1 token a window, and no negative stride",
         shape.max_length, shape.stride);
  }
  const auto length = static_cast<std::size_t>(shape.max_length);
  const auto stride = static_cast<std::size_t>(shape.stride);
  const std::size_t added = tokenizer.added_tokens(question != nullptr);
  const std::size_t room = length > added + stride ? length - added - stride - 1 : 0;
  const std::size_t asked = question ? tokenizer.tokenize(*question, length).size() : 0;
  if (length <= added + stride) {
    fail(Errc::invalid_argument,
         "a window of {} tokens has no room beside {} special tokens and a stride of {}: choose a "
         "smaller stride, or a larger max_length if the model takes it",
         length, added, stride);
  }
  if (asked > room) {
    fail(Errc::invalid_argument,
         "the question is too long: it has {}{} tokens, and windows of {} with a stride of {} have "
         "room for {}; shorten it",
         asked, asked == length ? " or more" : "", length, stride, room);
  }
  return length - added - asked;
}

}  // namespace

Windows::Windows(const Tokenizer& tokenizer, const std::string_view* question,
                 std::string_view text, const WindowShape& shape) {
  if (text.size() > kMaxDocumentBytes) {
    fail(Errc::invalid_argument,
         "the document has {} MiB, more than the {} MiB that are read at once: split it, and give "
         "the parts one by one",
         text.size() >> 20, kMaxDocumentBytes >> 20);
  }
  capacity_ = capacity_of(tokenizer, question, shape);
  step_ = capacity_ - static_cast<std::size_t>(shape.stride);
  tokens_ = tokenizer.tokenize(text);
  if (tokens_.size() == 0) {
    fail(Errc::invalid_argument, "the document has no text in it: give one with words");
  }
  count_ = tokens_.size() <= capacity_ ? 1 : 1 + (tokens_.size() - capacity_ + step_ - 1) / step_;
  if (count_ > kMaxWindows) {
    fail(Errc::invalid_argument,
         "the document would be read in {} windows of {} new tokens each, more than {}: shorten "
         "the question, or split the document",
         count_, step_, kMaxWindows);
  }

  EncodeOptions options;
  options.keep_overflowing = false;
  const auto fixed = static_cast<std::size_t>(shape.max_length) - capacity_;
  options.truncation = Truncation{.max_length = fixed + kSample};
  if (question) options.truncation->strategy = TruncationStrategy::only_second;
  const Encoding sample =
      question ? tokenizer.encode_pair(*question, text, options) : tokenizer.encode(text, options);
  const int32_t own = question ? 1 : 0;
  const auto found = std::find(sample.sequence_ids.begin(), sample.sequence_ids.end(), own);
  TERCEL_CHECK(found != sample.sequence_ids.end());
  const auto at = static_cast<std::size_t>(found - sample.sequence_ids.begin());
  append(prefix_, sample, 0, at);
  append(suffix_, sample, at + kSample, sample.size());
  text_type_id_ = sample.type_ids[at];
}

std::size_t Windows::end(std::size_t index) const {
  return std::min(begin(index) + capacity_, tokens_.size());
}

std::size_t Windows::bytes() const {
  constexpr std::size_t kToken = 2 * sizeof(int32_t) + sizeof(TextSpan);
  return sizeof(Windows) + tokens_.size() * kToken;
}

TokenRow Windows::row(std::size_t index) const {
  TokenRow row = prefix_;
  row.ids.insert(row.ids.end(), tokens_.ids.begin() + begin(index),
                 tokens_.ids.begin() + end(index));
  row.type_ids.resize(row.ids.size(), text_type_id_);
  append(row, suffix_);
  return row;
}

}  // namespace tercel::tasks
