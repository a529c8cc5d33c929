#pragma once
// Reading texts, writing results.

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "tercel/error.h"

namespace tercel::cli {

template <class... Args>
[[noreturn]] void reject(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(Errc::invalid_argument, fmt::format(format, std::forward<Args>(args)...));
}

// The whole of a text file, or of standard input for "-". Throws tercel::Error when it is missing,
// no file, larger than `limit` bytes, or not text: bytes of zero, or much that is not UTF-8.
std::string read_text(const std::string& path, std::size_t limit);

// The texts of a command: its arguments, or the lines of `input` ("-": standard input).
std::vector<std::string> read_texts(const std::vector<std::string>& arguments,
                                    const std::string& input);

// Replaces the file in one step. Throws Errc::io.
void write_file(const std::filesystem::path& path, std::string_view bytes);

// To standard output, at once. Throws Errc::io.
void print(std::string_view text);
// To standard error; failures do not matter.
void print_error(std::string_view text);

bool stdin_is_terminal();
bool stdout_is_terminal();
bool stderr_is_terminal();

// The text with white space and control characters as single spaces, fit for a terminal.
std::string one_line(std::string_view text);

}  // namespace tercel::cli
