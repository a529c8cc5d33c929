#include "src/runtime/tuning_file.h"

#include <cctype>

#include "src/base/atomic_file.h"
#include "src/base/fail.h"
#include "src/base/mapped_file.h"

namespace tercel::runtime {
namespace {

constexpr std::size_t kMostBytes = std::size_t{16} << 20;

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

// Letters, digits and dots stay, all between them becomes "-".
std::string file_name(const std::string& words) {
  std::string name;
  for (const char c : words) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.';
    if (plain)
      name += c;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  return name + ".txt";
}

}  // namespace

TuningFile::TuningFile(const std::filesystem::path& folder, const std::string& device,
                       Choices choices)
    : choices_(std::move(choices)) {
  const std::string text = choices_.text();
  path_ = folder / file_name(device + " " + first_line(text));
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(Errc::io, "{}: cannot be made: {}", folder.string(), error.message());
  take();
  write(choices_.text());  // whether it can be, shows here
}

void TuningFile::save() {
  const std::lock_guard lock(mutex_);
  if (choices_.text() == written_) return;
  try {
    take();
    write(choices_.text());
  } catch (const Error&) {  // it was said when the file was opened, or the disk is full now
  }
}

// What other processes have added meanwhile.
void TuningFile::take() {
  try {
    choices_.take(read_text_file(path_, kMostBytes));
  } catch (const Error&) {  // none, or nothing that can be read: it is made anew
  }
}

void TuningFile::write(const std::string& text) {
  AtomicFile file(path_);
  file.write(text);
  file.commit();
  written_ = text;
}

}  // namespace tercel::runtime
