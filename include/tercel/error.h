#pragma once
// Errors. A user's mistake (a missing file, a malformed model, a wrong shape, an unknown option) is
// a tercel::Error whose message names the place and what was expected, and tells what to do. A
// broken invariant of the library itself has the code Errc::internal.

#include <stdexcept>
#include <string>
#include <string_view>

#include "tercel/export.h"

namespace tercel {

enum class Errc {
  invalid_argument,   // an option, an input's name, shape or type is wrong
  invalid_file,       // a file is malformed
  not_found,          // a file, an input or an output does not exist
  unsupported,        // valid, but Tercel has no kernel, reader or architecture for it
  out_of_memory,      // a memory cap was reached, or the system has no more
  cancelled,          // RunOptions::cancel was set
  deadline_exceeded,  // RunOptions::deadline passed
  io,                 // the operating system reported an error while reading or writing
  internal,           // a defect of Tercel
};

// "invalid_argument", "invalid_file", …
TERCEL_API std::string_view to_string(Errc code);

class TERCEL_API Error : public std::runtime_error {
 public:
  Error(Errc code, const std::string& message) : std::runtime_error(message), code_(code) {}
  Errc code() const { return code_; }

 private:
  Errc code_;
};

}  // namespace tercel
