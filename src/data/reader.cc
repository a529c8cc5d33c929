#include "tercel/reader.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

#include <glob.h>

#include "src/base/fail.h"
#include "src/data/formats.h"

namespace tercel::data {
namespace {

struct FormatName {
  std::string_view name;  // of an option, or the end of a file's name
  Format format;
};
constexpr std::array kFormats = {
    FormatName{"jsonl", Format::json_lines}, FormatName{"ndjson", Format::json_lines},
    FormatName{"csv", Format::csv},          FormatName{"tsv", Format::tsv},
    FormatName{"text", Format::text},        FormatName{"txt", Format::text},
    FormatName{"squad", Format::squad},      FormatName{"json", Format::squad},
    FormatName{"npy", Format::npy}};

Format find_format(std::string_view name) {
  const auto found = std::find_if(kFormats.begin(), kFormats.end(),
                                  [&](const FormatName& row) { return row.name == name; });
  return found == kFormats.end() ? Format::by_name : found->format;
}

Format format_of(const std::string& input) {
  if (input == "-") return Format::json_lines;
  std::filesystem::path path(input);
  if (path.extension() == ".gz" || path.extension() == ".zst") path = path.stem();
  const std::string extension = path.extension().string();
  const Format format = extension.empty() ? Format::by_name : find_format(extension.substr(1));
  if (format == Format::by_name) {
    fail(Errc::invalid_argument,
         "{}: its name does not say what is in it; expected .jsonl, .csv, .tsv, .txt, .json "
         "(SQuAD) or .npy, also followed by .gz or .zst; or choose a format",
         input);
  }
  return format;
}

Format common_format(const std::vector<std::string>& files) {
  const Format first = format_of(files.front());
  for (const std::string& file : files) {
    if (format_of(file) == first) continue;
    fail(Errc::invalid_argument,
         "{} and {} have different formats: read them one after the other, or choose a format",
         files.front(), file);
  }
  return first;
}

std::unique_ptr<FileRecords> open_file(const std::string& path, Format format,
                                       const ReaderOptions& options, std::atomic<int64_t>& read) {
  OpenFile file{open_bytes(path, options.cancel, &read), shown_name(path),
                options.max_record_bytes};
  switch (format) {
    case Format::csv:
      return csv_records(std::move(file), ',');
    case Format::tsv:
      return csv_records(std::move(file), '\t');
    case Format::text:
      return text_lines(std::move(file));
    case Format::squad:
      return squad_questions(std::move(file));
    case Format::npy:
      return npy_rows(std::move(file));
    default:
      return json_lines(std::move(file));
  }
}

class FilesReader : public Reader {
 public:
  FilesReader(std::vector<std::string> files, const ReaderOptions& options)
      : files_(std::move(files)), options_(options) {
    if (options_.format == Format::by_name) options_.format = common_format(files_);
    for (const std::string& file : files_) {
      std::error_code error;
      const auto size = std::filesystem::file_size(file, error);
      if (error) known_ = false;  // a pipe
      total_ += error ? 0 : static_cast<int64_t>(size);
    }
  }

  bool next(Record& record) override {
    record = Record();
    while (true) {
      if (!current_) {
        if (next_file_ == files_.size()) return false;
        const std::string& path = files_[next_file_++];
        current_ = open_file(path, options_.format, options_, read_);
        name_ = std::make_shared<const std::string>(shown_name(path));
      }
      if (current_->next(record)) break;
      current_.reset();
    }
    record.file = name_;
    record.index = next_index_++;
    return true;
  }

  double fraction_read() const override {
    return known_ && total_ > 0 ? static_cast<double>(read_) / static_cast<double>(total_) : 0;
  }

  void parse(Record& record) const override {
    switch (options_.format) {
      case Format::csv:
        return parse_csv_record(record, ',', options_.fields);
      case Format::tsv:
        return parse_csv_record(record, '\t', options_.fields);
      case Format::text:
        return parse_text_line(record);
      case Format::json_lines:
        return parse_json_line(record, options_.fields);
      default:  // found with their fields
        return;
    }
  }

 private:
  std::vector<std::string> files_;
  ReaderOptions options_;
  int64_t total_ = 0;
  bool known_ = true;
  std::atomic<int64_t> read_{0};
  std::size_t next_file_ = 0;
  int64_t next_index_ = 0;
  std::unique_ptr<FileRecords> current_;
  std::shared_ptr<const std::string> name_;
};

}  // namespace

std::string too_long(std::size_t limit) {
  return fmt::format("longer than the {} bytes that a record may have", limit);
}

Format parse_format(const std::string& name) {
  const Format format = find_format(name);
  if (format == Format::by_name) {
    fail(Errc::invalid_argument, "{}: no format; expected jsonl, csv, tsv, text, squad or npy",
         name);
  }
  return format;
}

std::vector<std::string> expand_inputs(const std::vector<std::string>& inputs) {
  std::vector<std::string> files;
  for (const std::string& input : inputs) {
    std::error_code ignored;
    const bool pattern = input.find_first_of("*?[") != std::string::npos;
    if (input == "-" || std::filesystem::exists(input, ignored)) {
      files.push_back(input);
      continue;
    }
    glob_t found = {};
    if (pattern && glob(input.c_str(), 0, nullptr, &found) == 0) {
      files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
    } else if (pattern) {
      globfree(&found);
      fail(Errc::not_found, "{}: no file matches", input);
    } else {
      fail(Errc::not_found, "{}: no such file", input);
    }
    globfree(&found);
  }
  if (std::count(files.begin(), files.end(), "-") > 1) {
    fail(Errc::invalid_argument, "standard input can be read only once");
  }
  if (files.empty()) fail(Errc::invalid_argument, "no input: give a file, a pattern, or -");
  return files;
}

std::unique_ptr<Reader> open_reader(const std::vector<std::string>& inputs,
                                    const ReaderOptions& options) {
  return std::make_unique<FilesReader>(expand_inputs(inputs), options);
}

}  // namespace tercel::data
