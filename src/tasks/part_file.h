#pragma once
// A file that grows under the name PATH.part, and is moved to PATH when it is complete.

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace tercel::tasks {

class PartFile {
 public:
  // Keeps the first `bytes` of what an earlier run wrote. "-" is standard output. Throws Errc::io,
  // and Errc::invalid_file when there is less than that.
  PartFile(std::filesystem::path path, int64_t bytes);
  ~PartFile();
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  static std::filesystem::path part_of(const std::filesystem::path& path);

  int64_t size() const { return size_; }
  void append(std::string_view bytes);
  void overwrite(int64_t at, std::string_view bytes);
  std::string read(int64_t at, int64_t count) const;  // as much of it as there is
  void sync();                                        // on return what was written is on the disk
  // Moves a part to its place, if it is not there already.
  static void finish(const std::filesystem::path& path);

 private:
  std::filesystem::path path_;
  std::filesystem::path part_;
  int fd_ = -1;
  int64_t size_ = 0;
  bool is_file_ = true;
};

}  // namespace tercel::tasks
