#pragma once
// Where the project lies: where it was built, or, of tests that were copied to a machine with a
// GPU, the folder that they are started in.

#include <filesystem>

namespace tercel {

// `built`: TERCEL_SOURCE_DIR, which every test is compiled with.
inline std::filesystem::path source_folder(const std::filesystem::path& built) {
  return std::filesystem::exists(built) ? built : std::filesystem::current_path();
}

}  // namespace tercel
