#pragma once
// For tests of what is refused.

#include <functional>

#include "tercel/error.h"

namespace tercel {

// The error that `action` throws; "no error" when it throws none.
inline Error error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  return {Errc::internal, "no error"};
}

}  // namespace tercel
