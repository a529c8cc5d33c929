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

// Whether a quoted field is open behind the bytes that were pushed so far.
class Quotes {
 public:
  explicit Quotes(char separator) : separator_(separator) {}

  void push(std::string_view bytes) {
    if (bytes.empty()) return;
    const bool quoted = state_ == State::quoted || state_ == State::quote_in_quoted;
    if (!quoted && bytes.find('"') == std::string_view::npos) {
      state_ = after(bytes.back());
    } else {
      for (const char c : bytes) push(c);
    }
  }
  bool open() const { return state_ == State::quoted; }

 private:
  enum class State { begin, plain, quoted, quote_in_quoted };

  void push(char c) {
    if (state_ == State::quoted) {
      if (c == '"') state_ = State::quote_in_quoted;
    } else if (c == '"' && state_ != State::plain) {
      state_ = State::quoted;  // at the begin of a field, or doubled
    } else {
      state_ = after(c);
    }
  }
  State after(char plain) const {
    return plain == separator_ || plain == '\n' ? State::begin : State::plain;
  }

  char separator_;
  State state_ = State::begin;
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
        separator_(separator) {
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
    Quotes quotes(separator_);
    const auto see = [&](std::string_view bytes) { quotes.push(bytes); };
    do {
      record.raw.clear();
      if (!reader_.next(record.raw, see)) return false;
    } while (record.raw == "\n" || record.raw == "\r\n");
    record.line = reader_.number();
    bool whole = reader_.whole();
    while (quotes.open() && reader_.next(record.raw, see)) whole = whole && reader_.whole();
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
  char separator_;
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
