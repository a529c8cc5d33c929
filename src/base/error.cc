#include "tercel/error.h"

#include "src/base/in_file.h"
#include "src/base/shown.h"

namespace tercel {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::invalid_file:
      return "invalid_file";
    case Errc::not_found:
      return "not_found";
    case Errc::unsupported:
      return "unsupported";
    case Errc::out_of_memory:
      return "out_of_memory";
    case Errc::cancelled:
      return "cancelled";
    case Errc::deadline_exceeded:
      return "deadline_exceeded";
    case Errc::io:
      return "io";
    case Errc::internal:
      return "internal";
  }
  return "unknown";
}

std::string shown(std::string_view name) {
  constexpr std::size_t kLongest = 120;
  std::size_t end = name.size();
  if (end > kLongest) {
    end = kLongest;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0U) == 0x80U) --end;
  }
  std::string text;
  for (const char byte : name.substr(0, end)) {
    if (byte == 0) text += '\\';  // a message is read as a C string
    text += byte == 0 ? '0' : byte;
  }
  if (end < name.size()) text += "…";
  return text;
}

void fail_in_file(const std::filesystem::path& path, const Error& error) {
  const std::string message = error.what();
  if (message.starts_with(path.string())) throw error;
  throw Error(error.code(), path.string() + ": " + message);
}

}  // namespace tercel
