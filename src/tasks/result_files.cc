#include "src/tasks/result_files.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <string_view>

#include "src/base/fail.h"
#include "src/tasks/result_text.h"

namespace tercel::tasks {
namespace {

// Of an .npy file whose number of rows is known only at the end: room for any.
constexpr std::size_t kHeaderBytes = 192;

struct FormatName {
  std::string_view extension;
  ResultFormat format;
};
constexpr std::array kFormats = {
    FormatName{".jsonl", ResultFormat::json_lines}, FormatName{".csv", ResultFormat::csv},
    FormatName{".tsv", ResultFormat::tsv}, FormatName{".npy", ResultFormat::npy}};

char separator_of(ResultFormat format) { return format == ResultFormat::tsv ? '\t' : ','; }

std::string header_line(const PredictOptions& options, const RecordTask& task, char separator) {
  std::string line = "index";
  std::vector<std::string> names{options.id_field};
  names.insert(names.end(), options.keep.begin(), options.keep.end());
  for (const std::string& column : task.columns()) names.push_back(column);
  for (const std::string& name : names) {
    line += separator;
    append_csv_field(line, name, separator);
  }
  return line + "\n";
}

}  // namespace

ResultFormat ResultFiles::format_of(const PredictOptions& options) {
  if (options.output == "-") return ResultFormat::json_lines;
  const std::string extension = std::filesystem::path(options.output).extension();
  for (const FormatName& row : kFormats) {
    if (row.extension == extension) return row.format;
  }
  fail(Errc::invalid_argument,
       "{}: its name does not say what to write; expected .jsonl, .csv, .tsv or .npy",
       options.output.empty() ? "no output" : options.output);
}

ResultFiles::ResultFiles(const PredictOptions& options, const RecordTask& task, const Commit& from)
    : format_(format_of(options)), output_(options.output, from.output_bytes) {
  if (!options.rejects.empty()) {
    rejects_ = std::make_unique<PartFile>(options.rejects, from.rejects_bytes);
  }
  const bool is_table = format_ == ResultFormat::csv || format_ == ResultFormat::tsv;
  if (is_table && output_.size() == 0) {
    output_.append(header_line(options, task, separator_of(format_)));
  }
  if (format_ == ResultFormat::npy && output_.size() > 0) {
    const std::string header = output_.read(0, kHeaderBytes);
    std::size_t at = 0;
    row_ = data::read_npy_header(options.output, [&](void* out, std::size_t count) {
      if (count > header.size() - at) return false;
      std::memcpy(out, header.data() + at, count);
      at += count;
      return true;
    });
    row_->shape.erase(row_->shape.begin());
  }
}

std::string ResultFiles::carried(const data::Record& record, const PredictOptions& options,
                                 ResultFormat format) {
  if (format == ResultFormat::npy) return {};
  const bool is_json = format == ResultFormat::json_lines;
  std::string text = fmt::format("{}{}", is_json ? "{\"index\":" : "", record.index);
  const auto carry = [&](const std::string& name) {
    const data::Value* value = record.find(name);
    if (!is_json) {
      text += separator_of(format);
      append_csv_field(text, value ? plain_text(*value) : "", separator_of(format));
    } else if (value != nullptr) {
      text += ',';
      append_json_string(text, name);
      text += ':';
      append_json_value(text, *value);
    }
  };
  carry(options.id_field);
  for (const std::string& name : options.keep) carry(name);
  return text + (is_json ? ',' : separator_of(format));
}

RecordResult ResultFiles::render(const RecordTask& task, const Job& job, ResultFormat format) {
  RecordResult result;
  if (format == ResultFormat::json_lines) {
    result.bytes = job.carried;
    task.write_json(job, result.bytes);
    result.bytes += "}\n";
  } else if (format == ResultFormat::npy) {
    const Tensor array = task.array(job);
    result.bytes.assign(static_cast<const char*>(array.data()), array.bytes());
    result.row = {array.dtype(), array.shape()};
  } else {
    task.write_csv(job, job.carried, separator_of(format), result.bytes);
  }
  return result;
}

void ResultFiles::check_row(int64_t record, const data::NpyHeader& row) {
  if (!row_) {
    row_ = row;
    Shape shape = row.shape;
    shape.insert(shape.begin(), 0);
    output_.append(data::npy_header(row.dtype, shape, kHeaderBytes));
  }
  if (row.dtype == row_->dtype && row.shape == row_->shape) return;
  fail(Errc::invalid_argument,
       "record {} gives an array {}, and those before gave {}: an .npy file holds equal ones; "
       "write .jsonl",
       record, to_string(row.shape), to_string(row_->shape));
}

void ResultFiles::add(int64_t record, const RecordResult& result) {
  if (format_ == ResultFormat::npy) check_row(record, result.row);
  output_.append(result.bytes);
}

void ResultFiles::reject(const data::Record& record) {
  if (!rejects_) return;
  std::string line = fmt::format("{{\"index\":{},\"file\":", record.index);
  append_json_string(line, record.file ? *record.file : "");
  line += fmt::format(",\"line\":{},\"reason\":", record.line);
  append_json_string(line, record.error);
  line += ",\"raw\":";
  append_json_string(line, record.raw);
  rejects_->append(line + "}\n");
}

void ResultFiles::sync() {
  output_.sync();
  if (rejects_) rejects_->sync();
}

void ResultFiles::end(int64_t results) {
  if (format_ != ResultFormat::npy) return;
  if (!row_) {
    output_.append(data::npy_header(Dtype::f32, {0, 0}, kHeaderBytes));
    return;
  }
  Shape shape = row_->shape;
  shape.insert(shape.begin(), results);
  output_.overwrite(0, data::npy_header(row_->dtype, shape, kHeaderBytes));
}

void ResultFiles::finish(const PredictOptions& options) {
  if (options.output == "-") return;
  if (!options.rejects.empty()) PartFile::finish(options.rejects);
  PartFile::finish(options.output);
}

}  // namespace tercel::tasks
