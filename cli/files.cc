#include "cli/files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include <unistd.h>

namespace tercel::cli {
namespace {

constexpr std::size_t kMaxInputBytes = std::size_t{256} << 20;

[[noreturn]] void refuse_size(const std::string& path, std::size_t limit) {
  reject(
      "{}: more than {} MiB, which is the most that is read at once: split it, and give the "
      "parts one by one",
      path, limit >> 20);
}

std::string read_all(const std::string& path, std::size_t limit) {
  std::error_code ignored;
  if (path != "-" && std::filesystem::is_directory(path, ignored)) {
    reject("{}: a directory; give a text file, or - for standard input", path);
  }
  const bool regular = path != "-" && std::filesystem::is_regular_file(path, ignored);
  if (regular && std::filesystem::file_size(path, ignored) > limit) refuse_size(path, limit);

  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(
      path == "-" ? stdin : std::fopen(path.c_str(), "rb"), [](std::FILE* opened) {
        return opened == nullptr || opened == stdin ? 0 : std::fclose(opened);
      });
  if (file == nullptr) {
    throw Error(Errc::not_found, fmt::format("{}: {}; give a text file, or - for standard input",
                                             path, std::strerror(errno)));
  }
  std::string text;
  char buffer[1 << 16];
  while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, file.get())) {
    text.append(buffer, count);
    if (text.size() > limit) refuse_size(path, limit);
  }
  if (std::ferror(file.get()) != 0) {
    throw Error(errno == EINTR ? Errc::cancelled : Errc::io,
                fmt::format("{}: {}", path, std::strerror(errno)));
  }
  return text;
}

// Bytes of the well-formed UTF-8 sequence at the beginning of `text`; 0 when there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

void check_text(const std::string& path, std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    reject(
        "{}: binary data, not text: give plain text in UTF-8 (pdftotext reads PDF, "
        "`iconv -f UTF-16 -t UTF-8` converts)",
        path);
  }
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = sequence_length(text.substr(i));
    wrong += length == 0 ? 1 : 0;
    i += length == 0 ? 1 : length;
  }
  if (wrong * 10 > text.size()) {
    reject(
        "{}: {} of {} bytes are not UTF-8: binary data, or a text in another encoding, which "
        "`iconv -t UTF-8` converts",
        path, wrong, text.size());
  }
}

}  // namespace

std::string read_text(const std::string& path, std::size_t limit) {
  std::string text = read_all(path, limit);
  check_text(path == "-" ? "standard input" : path, text);
  return text;
}

std::vector<std::string> read_texts(const std::vector<std::string>& arguments,
                                    const std::string& input) {
  if (arguments.empty() == input.empty()) {
    reject(
        "give either texts as arguments or lines of text by --input FILE (- for standard input)");
  }
  if (input.empty()) {
    for (const std::string& text : arguments) {
      if (one_line(text).empty())
        reject("an empty text was given: leave it out, or put words in it");
    }
    return arguments;
  }
  const std::string all = read_text(input, kMaxInputBytes);
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = std::min(all.find('\n', begin), all.size());
    lines.push_back(all.substr(begin, end - begin));
    if (lines.back().ends_with('\r')) lines.back().pop_back();
    begin = end + 1;
  }
  if (lines.empty()) reject("{}: no lines in it; give one text a line", input);
  return lines;
}

void write_file(const std::filesystem::path& path, std::string_view bytes) {
  const std::filesystem::path temporary = path.string() + ".part";
  const auto give_up = [&](const char* reason) {
    std::error_code ignored;
    std::filesystem::remove(temporary, ignored);
    throw Error(Errc::io, fmt::format("{}: cannot be written: {}", path.string(), reason));
  };
  std::ofstream file(temporary, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) give_up(std::strerror(errno));
  std::error_code error;
  std::filesystem::rename(temporary, path, error);
  if (error) give_up(error.message().c_str());
}

void print(std::string_view text) {
  const std::size_t written = std::fwrite(text.data(), 1, text.size(), stdout);
  if (written != text.size() || std::fflush(stdout) != 0) {
    throw Error(Errc::io, fmt::format("standard output: {}", std::strerror(errno)));
  }
}

void print_error(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

bool stdin_is_terminal() { return isatty(STDIN_FILENO) == 1; }
bool stdout_is_terminal() { return isatty(STDOUT_FILENO) == 1; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

std::string one_line(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte != 0x7F) {
      result += c;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  while (result.ends_with(' ')) result.pop_back();
  return result;
}

}  // namespace tercel::cli
