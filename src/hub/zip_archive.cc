#include "src/hub/zip_archive.h"

#include <algorithm>
#include <cstdint>
#include <unordered_set>

#include "src/base/fail.h"

namespace tercel::hub {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50;
constexpr uint32_t kDirectoryEntry = 0x02014b50;
constexpr uint32_t kEndOfDirectory = 0x06054b50;
constexpr uint32_t kEndOfDirectory64 = 0x06064b50;
constexpr uint32_t kLocator64 = 0x07064b50;
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kEntryBytes = 46;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kLocatorBytes = 20;
constexpr uint64_t kMaxComment = 65535;
constexpr uint32_t kInExtra32 = 0xffffffff;
constexpr uint16_t kExtra64 = 1;

struct Directory {
  uint64_t begin, bytes, entries;
};

struct ZipEntry {
  std::string_view name;
  uint64_t compressed, size, header;  // `header`: where the local header begins
  uint64_t bytes;                     // of the entry itself
};

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& source)
      : bytes_(bytes), source_(source) {}

  std::vector<ZipMember> read() const;

 private:
  template <class... Args>
  [[noreturn]] void reject(uint64_t at, fmt::format_string<Args...> format, Args&&... args) const {
    fail(Errc::invalid_file, "{}: byte {}: {}", source_, at,
         fmt::format(format, std::forward<Args>(args)...));
  }
  bool holds(uint64_t at, uint64_t count) const {
    return at <= bytes_.size() && count <= bytes_.size() - at;
  }
  uint64_t number(uint64_t at, std::size_t width) const;
  std::string_view text(uint64_t at, uint64_t count) const;
  Directory directory() const;
  Directory directory64(uint64_t end) const;
  ZipEntry entry(uint64_t at) const;
  void read_extra64(uint64_t at, uint64_t count, ZipEntry& entry) const;
  std::span<const std::byte> data(const ZipEntry& entry, uint64_t limit) const;

  std::span<const std::byte> bytes_;
  const std::string& source_;
};

uint64_t Reader::number(uint64_t at, std::size_t width) const {
  if (!holds(at, width)) reject(at, "expected {} bytes; the file is cut off", width);
  uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value |= std::to_integer<uint64_t>(bytes_[at + i]) << (8 * i);
  }
  return value;
}

std::string_view Reader::text(uint64_t at, uint64_t count) const {
  if (!holds(at, count)) reject(at, "expected a name of {} bytes; the file is cut off", count);
  return {reinterpret_cast<const char*>(bytes_.data()) + at, static_cast<std::size_t>(count)};
}

// The end record is at the end of the file, in front of a comment that is mostly empty.
Directory Reader::directory() const {
  const uint64_t size = bytes_.size();
  for (uint64_t back = kEndBytes; back <= std::min(size, kEndBytes + kMaxComment); ++back) {
    const uint64_t at = size - back;
    if (number(at, 4) != kEndOfDirectory || number(at + 20, 2) != back - kEndBytes) continue;
    const Directory found{number(at + 16, 4), number(at + 12, 4), number(at + 10, 2)};
    if (at >= kLocatorBytes && number(at - kLocatorBytes, 4) == kLocator64) {
      return directory64(at - kLocatorBytes);
    }
    return found;
  }
  reject(size, "the directory of the ZIP file is missing; the file is cut off");
}

Directory Reader::directory64(uint64_t locator) const {
  const uint64_t at = number(locator + 8, 8);
  if (!holds(at, kEnd64Bytes) || number(at, 4) != kEndOfDirectory64) {
    reject(locator, "expected the place of a ZIP64 directory, found {}", at);
  }
  return {number(at + 48, 8), number(at + 40, 8), number(at + 32, 8)};
}

ZipEntry Reader::entry(uint64_t at) const {
  if (number(at, 4) != kDirectoryEntry) reject(at, "expected an entry of the directory");
  const uint64_t flags = number(at + 8, 2);
  const uint64_t method = number(at + 10, 2);
  const uint64_t name = number(at + 28, 2);
  const uint64_t extra = number(at + 30, 2);
  const uint64_t comment = number(at + 32, 2);
  ZipEntry entry{text(at + kEntryBytes, name), number(at + 20, 4), number(at + 24, 4),
                 number(at + 42, 4), kEntryBytes + name + extra + comment};
  if (method != 0 || (flags & 1U) != 0) {
    fail(Errc::unsupported,
         "{}: byte {}: a member is compressed or encrypted; torch.save writes neither, so save the "
         "checkpoint with it again",
         source_, at);
  }
  read_extra64(at + kEntryBytes + name, extra, entry);
  if (entry.compressed != entry.size) reject(at, "a stored member has two different sizes");
  return entry;
}

// Sizes and places that do not fit 32 bits, in this order.
void Reader::read_extra64(uint64_t at, uint64_t count, ZipEntry& entry) const {
  const uint64_t end = at + count;
  while (at + 4 <= end) {
    const uint64_t id = number(at, 2);
    const uint64_t length = number(at + 2, 2);
    at += 4;
    if (length > end - at) reject(at, "an extra field is longer than its entry");
    if (id == kExtra64) {
      const uint64_t field_end = at + length;
      for (uint64_t* value : {&entry.size, &entry.compressed, &entry.header}) {
        if (*value != kInExtra32) continue;
        if (field_end - at < 8) reject(at, "a ZIP64 field is too short");
        *value = number(at, 8);
        at += 8;
      }
      at = field_end;
    } else {
      at += length;
    }
  }
}

std::span<const std::byte> Reader::data(const ZipEntry& entry, uint64_t limit) const {
  const uint64_t at = entry.header;
  if (!holds(at, kLocalBytes) || number(at, 4) != kLocalHeader) {
    reject(at, "expected the header of a member");
  }
  const uint64_t begin = at + kLocalBytes + number(at + 26, 2) + number(at + 28, 2);
  if (begin > limit || entry.size > limit - begin) {
    reject(at, "a member of {} bytes does not lie in front of the directory", entry.size);
  }
  return bytes_.subspan(begin, entry.size);
}

std::vector<ZipMember> Reader::read() const {
  const Directory where = directory();
  if (!holds(where.begin, where.bytes)) {
    reject(bytes_.size(), "the directory, {} bytes at {}, does not lie within the file",
           where.bytes, where.begin);
  }
  if (where.entries > where.bytes / kEntryBytes) {
    reject(where.begin, "{} bytes of directory do not hold {} entries", where.bytes, where.entries);
  }
  std::vector<ZipMember> members;
  std::unordered_set<std::string_view> names;
  uint64_t at = where.begin;
  for (uint64_t i = 0; i < where.entries; ++i) {
    const ZipEntry found = entry(at);
    if (!names.insert(found.name).second) reject(at, "a member's name is there twice");
    members.push_back({found.name, data(found, where.begin)});
    at += found.bytes;
  }
  return members;
}

}  // namespace

bool is_zip(std::span<const std::byte> bytes) {
  constexpr unsigned char kMagic[] = {'P', 'K', 3, 4};
  return bytes.size() >= 4 &&
         std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin(),
                    [](unsigned char a, std::byte b) { return std::byte{a} == b; });
}

std::vector<ZipMember> read_zip(std::span<const std::byte> bytes, const std::string& source) {
  return Reader(bytes, source).read();
}

}  // namespace tercel::hub
