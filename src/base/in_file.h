#pragma once
// Errors of what is done for a file name the file.

#include <filesystem>

#include "tercel/error.h"

namespace tercel {

// `error` again, beginning with the file's path unless it does so already.
[[noreturn]] void fail_in_file(const std::filesystem::path& path, const Error& error);

// Runs `work`, whose errors name the file.
template <class Work>
decltype(auto) in_file(const std::filesystem::path& path, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    fail_in_file(path, error);
  }
}

}  // namespace tercel
