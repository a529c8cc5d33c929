#pragma once
// The members of a ZIP file over a memory map, without copying: stored members only.
// Specification: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (also ZIP64)

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tercel::hub {

struct ZipMember {
  std::string_view name;
  std::span<const std::byte> data;
};

// Does the file begin as a ZIP file does?
bool is_zip(std::span<const std::byte> bytes);

// In the order of the directory. Throws Errc::invalid_file for a directory or a member that does
// not lie within the file and for a name given twice, Errc::unsupported for members that are
// compressed or encrypted. `source` is what messages call the file.
std::vector<ZipMember> read_zip(std::span<const std::byte> bytes, const std::string& source);

}  // namespace tercel::hub
