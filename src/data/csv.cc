// RFC 4180, with two things that files have in practice: lines may end with LF alone, and a quote
// inside a field that does not begin with one stands for itself.

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "src/base/fail.h"
#include "src/base/utf8.h"
#include "src/data/formats.h"
#include "src/data/line_reader.h"

namespace tercel::data {
namespace {

// Whether a quoted field is open at the end of a line, given that one is (or is not) at its begin.
class Quotes {
 public:
  explicit Quotes(char separator) : separator_(separator) {}

  bool open_after(std::string_view line, bool open) const {
    if (!open && line.find('"') == std::string_view::npos) return false;
    bool at_start = !open;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const char c = line[i];
      if (open) {
        if (c != '"') continue;
        const bool doubled = i + 1 < line.size() && line[i + 1] == '"';
        if (doubled) ++i;
        open = doubled;
      } else {
        open = at_start && c == '"';
        at_start = c == separator_;
      }
    }
    return open;
  }

 private:
  char separator_;
};

// The fields of a whole record.
class Fields {
 public:
  Fields(std::string_view text, char separator) : text_(text), separator_(separator) {}

  bool next(std::string& field) {
    field.clear();
    if (done_) return false;
    if (at_ < text_.size() && text_[at_] == '"') {
      read_quoted(field);
    } else {
      const std::size_t end = std::min(text_.find(separator_, at_), text_.size());
      field.assign(text_.substr(at_, end - at_));
      at_ = end;
    }
    done_ = at_ >= text_.size();
    if (!done_ && text_[at_] != separator_) {
      fail(Errc::invalid_argument, "text follows the closing quote of a field");
    }
    ++at_;
    return true;
  }

 private:
  void read_quoted(std::string& field) {
    for (++at_; at_ < text_.size(); ++at_) {
      const std::size_t quote = std::min(text_.find('"', at_), text_.size());
      field.append(text_.substr(at_, quote - at_));
      at_ = quote;
      if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        field += '"';
        ++at_;
      } else if (at_ < text_.size()) {
        ++at_;
        return;
      }
    }
    fail(Errc::invalid_argument, "a quoted field is not closed");
  }

  std::string_view text_;
  char separator_;
  std::size_t at_ = 0;
  bool done_ = false;
};

class CsvRecords : public FileRecords {
 public:
  CsvRecords(OpenFile file, char separator)
      : name_(file.name),
        limit_(file.max_record_bytes),
        reader_(std::move(file.bytes), file.max_record_bytes),
        quotes_(separator) {
    Record header;
    if (!read(header)) return;
    if (!header.error.empty()) fail(Errc::invalid_file, "{}:1: {}", name_, header.error);
    auto names = std::make_shared<std::vector<std::string>>();
    Fields fields(header.raw, separator);
    for (std::string name; fields.next(name);) names->push_back(name);
    columns_ = std::move(names);
  }

  bool next(Record& record) override {
    if (!read(record)) return false;
    record.columns = columns_;
    return true;
  }

 private:
  bool read(Record& record) {
    do {
      record.raw.clear();
      if (!reader_.next(record.raw)) return false;
    } while (record.raw == "\n" || record.raw == "\r\n");
    record.line = reader_.number();
    bool whole = reader_.whole();
    std::size_t seen = 0;
    bool open = false;
    while (whole) {
      open = quotes_.open_after(std::string_view(record.raw).substr(seen), open);
      seen = record.raw.size();
      if (!open || !reader_.next(record.raw)) break;
      whole = reader_.whole();
    }
    if (!whole) {
      record.error = too_long(limit_);
    } else {
      trim_line_end(record.raw);
    }
    return true;
  }

  std::string name_;
  std::size_t limit_;
  LineReader reader_;
  Quotes quotes_;
  std::shared_ptr<const std::vector<std::string>> columns_;
};

}  // namespace

std::unique_ptr<FileRecords> csv_records(OpenFile file, char separator) {
  return std::make_unique<CsvRecords>(std::move(file), separator);
}

void parse_csv_record(Record& record, char separator, const std::vector<std::string>& wanted) {
  if (!is_utf8(record.raw)) fail(Errc::invalid_argument, "it is not UTF-8");
  const std::vector<std::string>& names = *record.columns;
  Fields fields(record.raw, separator);
  std::size_t count = 0;
  for (std::string field; fields.next(field); ++count) {
    if (count >= names.size()) continue;
    const bool keep =
        wanted.empty() || std::find(wanted.begin(), wanted.end(), names[count]) != wanted.end();
    if (keep) record.fields.push_back({names[count], std::move(field)});
  }
  if (count != names.size()) {
    fail(Errc::invalid_argument, "it has {} fields where the header names {}", count, names.size());
  }
}

}  // namespace tercel::data
