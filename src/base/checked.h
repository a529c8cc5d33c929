#pragma once
// Arithmetic on sizes that come from files and users: overflow is an Error, never a wrap-around.

#include <cstdint>

#include "src/base/fail.h"

namespace tercel {

inline int64_t checked_mul(int64_t a, int64_t b) {
  int64_t result = 0;
  if (__builtin_mul_overflow(a, b, &result)) {
    fail(Errc::invalid_argument, "size {} x {} overflows 64 bits", a, b);
  }
  return result;
}

inline int64_t checked_add(int64_t a, int64_t b) {
  int64_t result = 0;
  if (__builtin_add_overflow(a, b, &result)) {
    fail(Errc::invalid_argument, "size {} + {} overflows 64 bits", a, b);
  }
  return result;
}

}  // namespace tercel
