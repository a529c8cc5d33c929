#pragma once
// A long text as windows that the model can take: each has the same tokens before and after
// (special ones, and the question) and a piece of the text between. Window i begins at token
// i * (capacity - stride) of the text; the last is the first to reach the end.

#include <cstddef>
#include <string_view>

#include "src/tasks/text_model.h"
#include "tercel/tokenizer.h"

namespace tercel::tasks {

struct WindowShape {
  int max_length = 384;  // tokens of a window in all
  int stride = 128;      // tokens of the text that neighbouring windows share
};

class Windows {
 public:
  // Windows of `text` alone, or after `question` when that is not null. Throws
  // Errc::invalid_argument when the text has no tokens or more than kMaxDocumentBytes, when the
  // question leaves no room, and when there would be more than 65,536 windows.
  Windows(const Tokenizer& tokenizer, const std::string_view* question, std::string_view text,
          const WindowShape& shape);

  std::size_t count() const { return count_; }

  // The tokens of the text that window `index` holds: [begin, end).
  std::size_t begin(std::size_t index) const { return index * step_; }
  std::size_t end(std::size_t index) const;
  // Tokens of the window in all.
  std::size_t length(std::size_t index) const {
    return prefix_.ids.size() + end(index) - begin(index) + suffix_.ids.size();
  }
  // Where in the window they begin.
  std::size_t prefix() const { return prefix_.ids.size(); }

  // Bytes of the text that token `token` stands for.
  TextSpan offsets(std::size_t token) const { return tokens_.offsets[token]; }

  TokenRow row(std::size_t index) const;
  // Bytes that it holds, about.
  std::size_t bytes() const;

 private:
  TokenList tokens_;
  TokenRow prefix_;
  TokenRow suffix_;
  int32_t text_type_id_ = 0;
  std::size_t capacity_ = 0;
  std::size_t step_ = 0;
  std::size_t count_ = 0;
};

}  // namespace tercel::tasks
