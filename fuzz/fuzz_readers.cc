// A file of records in any format, packed or not: the first byte chooses the format. Each record is
// parsed.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "src/base/fail.h"
#include "tercel/reader.h"

namespace {

using tercel::data::Format;

constexpr std::array kFormats = {Format::json_lines, Format::csv,   Format::tsv,
                                 Format::text,       Format::squad, Format::npy};

// A file that is only in memory.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("records", 0)), path_("/proc/self/fd/" + std::to_string(fd_)) {}
  const std::string& holding(const uint8_t* data, std::size_t size) {
    TERCEL_CHECK(ftruncate(fd_, 0) == 0 &&
                 pwrite(fd_, data, size, 0) == static_cast<ssize_t>(size));
    return path_;
  }

 private:
  int fd_;
  std::string path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  static MemoryFile file;
  if (size == 0) return 0;
  try {
    const auto reader = tercel::data::open_reader(
        {file.holding(data + 1, size - 1)},
        {.format = kFormats[data[0] % kFormats.size()], .max_record_bytes = 4096});
    constexpr int kMostRecords = 10000;  // of a bomb
    tercel::data::Record record;
    for (int i = 0; i < kMostRecords && reader->next(record); ++i) {
      TERCEL_CHECK(record.index == i);
      try {
        if (record.error.empty()) reader->parse(record);
      } catch (const tercel::Error& error) {
        TERCEL_CHECK(error.code() == tercel::Errc::invalid_argument);
      }
    }
  } catch (const tercel::Error& error) {
    TERCEL_CHECK(error.code() != tercel::Errc::internal);
  }
  return 0;
}
