#pragma once
// Names from files, in messages.

#include <string>
#include <string_view>

namespace tercel {

// A name as messages show it: a long one is cut, at a whole character, and a NUL is \0.
std::string shown(std::string_view name);

}  // namespace tercel
