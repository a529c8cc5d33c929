#pragma once
// How far an unfinished prediction is safe: a file beside the output. Its first line says what the
// run was asked to do, each further line a moment at which all results so far were on the disk.

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace tercel::tasks {

// What all that decides the output's bytes was set to, by the option's name.
using RunIdentity = std::map<std::string, std::string>;

struct Commit {
  int64_t records = 0;  // of the input, from its begin, whose results are written
  int64_t rejected = 0;
  int64_t output_bytes = 0;
  int64_t rejects_bytes = 0;
  uint32_t checksum = 0;  // of these records
  bool is_last = false;   // the input had no more
};

struct JournalState {
  RunIdentity identity;
  Commit commit;  // all zero when there was none
};

// Nothing when there is no journal, or one whose first line was not finished. Throws Errc::io and
// Errc::invalid_file.
std::optional<JournalState> read_journal(const std::filesystem::path& path);

// Writes one. What it says is on the disk when a call returns. Throws Errc::io, and
// Errc::invalid_argument while another process writes it.
class Journal {
 public:
  Journal(std::filesystem::path path, const RunIdentity& identity);  // begins anew
  explicit Journal(std::filesystem::path path);                      // goes on
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void commit(const Commit& commit);
  void remove();

 private:
  void lock() const;
  void write_line(const std::string& line);

  std::filesystem::path path_;
  int fd_ = -1;
};

// Makes the entries of the file's folder safe. Throws Errc::io.
void sync_folder_of(const std::filesystem::path& file);

}  // namespace tercel::tasks
