#pragma once
// The sentence around an answer, for people to read.

#include <cstddef>
#include <string>
#include <string_view>

namespace tercel::cli {

struct Marks {
  std::string_view before;
  std::string_view after;
};

// Bold on a terminal that can, quotation marks otherwise.
Marks answer_marks();

// The sentence (or the part of a long one) that holds document[begin, end), on one line, with the
// marks around that piece.
std::string excerpt(std::string_view document, std::size_t begin, std::size_t end,
                    const Marks& marks);

}  // namespace tercel::cli
