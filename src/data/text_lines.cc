#include <string_view>

#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/data/formats.h"
#include "src/data/line_reader.h"

namespace tercel::data {
namespace {

class Lines : public FileRecords {
 public:
  Lines(OpenFile file, bool skip_blank)
      : reader_(std::move(file.bytes), file.max_record_bytes),
        limit_(file.max_record_bytes),
        skip_blank_(skip_blank) {}

  bool next(Record& record) override {
    while (true) {
      record.raw.clear();
      if (!reader_.next(record.raw)) return false;
      if (reader_.whole()) trim_line_end(record.raw);
      const bool blank = record.raw.find_first_not_of(" \t\r") == std::string::npos;
      if (!skip_blank_ || !blank) break;
    }
    record.line = reader_.number();
    if (!reader_.whole()) record.error = too_long(limit_);
    return true;
  }

 private:
  LineReader reader_;
  std::size_t limit_;
  bool skip_blank_;
};

}  // namespace

std::unique_ptr<FileRecords> json_lines(OpenFile file) {
  return std::make_unique<Lines>(std::move(file), true);
}

std::unique_ptr<FileRecords> text_lines(OpenFile file) {
  return std::make_unique<Lines>(std::move(file), false);
}

void parse_text_line(Record& record) {
  if (!is_utf8(record.raw)) fail(Errc::invalid_argument, "it is not UTF-8");
  record.fields.push_back({"text", record.raw});
}

}  // namespace tercel::data
