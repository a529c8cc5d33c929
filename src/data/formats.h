#pragma once
// The formats that a reader knows: for each, where a record ends in a file, and what its fields
// are.

#include <memory>
#include <string>
#include <vector>

#include "src/data/byte_stream.h"
#include "tercel/reader.h"

namespace tercel::data {

// The records of one file. next() fills all but `index`, `file` and `fields`; see Reader.
class FileRecords {
 public:
  virtual ~FileRecords() = default;
  virtual bool next(Record& record) = 0;
};

struct OpenFile {
  std::unique_ptr<ByteStream> bytes;
  std::string name;  // for messages
  std::size_t max_record_bytes;
};

std::unique_ptr<FileRecords> json_lines(OpenFile file);
std::unique_ptr<FileRecords> text_lines(OpenFile file);
std::unique_ptr<FileRecords> csv_records(OpenFile file, char separator);
std::unique_ptr<FileRecords> squad_questions(OpenFile file);
std::unique_ptr<FileRecords> npy_rows(OpenFile file);

// Fill record.fields: those in `wanted`, or all when it is empty. Throw Errc::invalid_argument.
void parse_json_line(Record& record, const std::vector<std::string>& wanted);
void parse_text_line(Record& record);
void parse_csv_record(Record& record, char separator, const std::vector<std::string>& wanted);

// The message of a record beyond the limit.
std::string too_long(std::size_t limit);

}  // namespace tercel::data
