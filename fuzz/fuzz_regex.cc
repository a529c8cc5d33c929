// A regular expression and a text together: the input is "pattern NUL text". Both may be anything;
// the only way out but matches is a tercel::Error. Beside crashes, it checks that matches are in
// order inside the text, that the work is linear in the text, and that ASCII and characters agree.

#include <cstdlib>
#include <string_view>
#include <vector>

#include "src/text/regex/regex.h"
#include "src/text/utf8.h"
#include "tercel/error.h"

namespace {

using tercel::text::IndexRange;

void check(const std::vector<IndexRange>& matches, std::size_t size) {
  uint32_t done = 0;
  for (const IndexRange match : matches) {
    if (match.begin < done || match.end < match.begin || match.end > size) std::abort();
    done = match.end;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = input.find('\0');
  const std::string_view text = end == input.npos ? input : input.substr(end + 1);
  try {
    const tercel::text::Regex regex(input.substr(0, end));
    tercel::text::RegexSearch search(regex);
    tercel::text::AlignedText chars;
    tercel::text::decode_into(chars, text, 0);
    const auto matches = search.find_all(chars.data(), chars.data() + chars.size());
    check(matches, chars.size());
    // At each place two passes from the right, each with all instructions at worst, and one back.
    if (search.steps() > (chars.size() + 2) * (2 * tercel::text::kMaxInstructions + 4)) {
      std::abort();
    }
    if (tercel::text::is_ascii(text) && search.find_all(text) != matches) std::abort();
  } catch (const tercel::Error&) {
    return 0;
  }
  return 0;
}
