#include "src/tasks/journal.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "src/base/fail.h"
#include "src/base/json.h"
#include "src/tasks/result_text.h"

namespace tercel::tasks {
namespace {

constexpr int64_t kVersion = 1;

[[noreturn]] void fail_io(const std::filesystem::path& path) {
  fail(Errc::io, "{}: {}", path.string(), std::strerror(errno));
}

std::string line_of(const RunIdentity& identity) {
  std::string line = fmt::format("{{\"tercel_predict\":{},\"run\":{{", kVersion);
  for (const auto& [name, value] : identity) {
    if (line.back() != '{') line += ',';
    append_json_string(line, name);
    line += ':';
    append_json_string(line, value);
  }
  return line + "}}\n";
}

RunIdentity identity_of(const std::string& line, const std::string& name) {
  const auto document = JsonDocument::parse(line, name);
  if (document.root()["tercel_predict"].integer() != kVersion) {
    fail(Errc::invalid_file, "{}: written by another version of Tercel: remove it to begin anew",
         name);
  }
  RunIdentity identity;
  document.root()["run"].for_each_member(
      [&](std::string_view key, const Json& value) { identity.emplace(key, value.string()); });
  return identity;
}

Commit commit_of(const std::string& line, const std::string& name) {
  const auto document = JsonDocument::parse(line, name);
  const Json root = document.root();
  return {root["records"].integer(),
          root["rejected"].integer(),
          root["output_bytes"].integer(),
          root["rejects_bytes"].integer(),
          static_cast<uint32_t>(root["checksum"].integer()),
          root["last"].boolean()};
}

}  // namespace

std::optional<JournalState> read_journal(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string line;
  // A line without its end was being written when the run ended.
  const auto next = [&] { return bool(std::getline(file, line)) && !file.eof(); };
  if (!next()) return std::nullopt;
  JournalState state;
  state.identity = identity_of(line, path.string());
  while (next()) state.commit = commit_of(line, path.string());
  return state;
}

Journal::Journal(std::filesystem::path path, const RunIdentity& identity) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  lock();
  if (ftruncate(fd_, 0) != 0) fail_io(path_);
  write_line(line_of(identity));
  sync_folder_of(path_);
}

Journal::Journal(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  lock();
  // A line that was not finished is cut off.
  std::ifstream file(path_, std::ios::binary);
  std::string line;
  std::uintmax_t whole = 0;
  while (std::getline(file, line) && !file.eof()) whole += line.size() + 1;
  if (ftruncate(fd_, static_cast<off_t>(whole)) != 0) fail_io(path_);
}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
}

// Held until the process ends, however it does. Some file systems know no locks.
void Journal::lock() const {
  if (fd_ < 0) fail_io(path_);
  if (flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(fd_);
    fail(Errc::invalid_argument, "{}: another process is at this run: wait until it has ended",
         path_.string());
  }
}

void Journal::write_line(const std::string& line) {
  const ssize_t written = ::write(fd_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size()) || fdatasync(fd_) != 0) fail_io(path_);
}

void Journal::commit(const Commit& commit) {
  write_line(
      fmt::format("{{\"records\":{},\"rejected\":{},\"output_bytes\":{},"
                  "\"rejects_bytes\":{},\"checksum\":{},\"last\":{}}}\n",
                  commit.records, commit.rejected, commit.output_bytes, commit.rejects_bytes,
                  commit.checksum, commit.is_last));
}

void Journal::remove() {
  std::error_code error;
  std::filesystem::remove(path_, error);
  if (error) fail(Errc::io, "{}: {}", path_.string(), error.message());
  sync_folder_of(path_);
}

void sync_folder_of(const std::filesystem::path& file) {
  const auto folder = file.parent_path().empty() ? "." : file.parent_path();
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail_io(folder);
  const bool done = fsync(fd) == 0 || errno == EINVAL;  // some file systems have no need of it
  ::close(fd);
  if (!done) fail_io(folder);
}

}  // namespace tercel::tasks
