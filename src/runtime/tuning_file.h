#pragma once
// What was measured of a device's kernels, kept from one process to the next: one file for each
// model of device and version of the libraries, in cache_folder(). Text, a line a choice, below one
// that says for what they are.

#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace tercel::runtime {

class TuningFile {
 public:
  // What is known now, its first line never missing; and what takes in lines of a file that are
  // not known yet, if that first line is the same, and skips those that are damaged.
  struct Choices {
    std::function<std::string()> text;
    std::function<void(std::string_view)> take;
  };

  // Takes in what the file has. Throws when no file can be written: Errc::not_found or Errc::io.
  TuningFile(const std::filesystem::path& folder, const std::string& device, Choices choices);

  // Adds what is known now to the file. A file that cannot be written stays as it is.
  void save();

  const std::filesystem::path& path() const { return path_; }

 private:
  void take();
  void write(const std::string& text);

  Choices choices_;
  std::filesystem::path path_;
  std::mutex mutex_;
  std::string written_;
};

}  // namespace tercel::runtime
