#pragma once
// RE2's syntax (https://github.com/google/re2/wiki/Syntax), in which ONNX writes its patterns.

#include <string>
#include <string_view>

namespace tercel::text {

// A pattern for Regex that matches the whole of a text where the RE2 pattern does; so it does not
// matter which of several ways there is first, and groups are not numbered. In RE2's syntax \d, \s,
// \w, \b and the classes [:alpha:] are of ASCII, and ^ and $ of the text unless (?m) is set. Throws
// Errc::invalid_file with the place of what is malformed or not in that syntax.
std::string full_match_of_re2(std::string_view pattern);

}  // namespace tercel::text
