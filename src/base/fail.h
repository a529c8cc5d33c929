#pragma once
// One way to raise an Error: fail(Errc::invalid_file, "{}: byte {}: expected a length", path, at).

#include <utility>

#include <fmt/core.h>

#include "tercel/error.h"

namespace tercel {

template <class... Args>
[[noreturn]] void fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

// For broken invariants of the library itself.
#define TERCEL_CHECK(condition)                                                                   \
  do {                                                                                            \
    if (!(condition)) {                                                                           \
      ::tercel::fail(::tercel::Errc::internal, "{}:{}: broken invariant: {}", __FILE__, __LINE__, \
                     #condition);                                                                 \
    }                                                                                             \
  } while (false)

}  // namespace tercel
