#pragma once
// Readers: from files to records, as a stream. A reader holds one record and a block of input in
// memory, whatever the size of the file.
//
//   auto reader = tercel::data::open_reader({"part-*.jsonl.zst"});
//   for (tercel::data::Record record; reader->next(record);) { reader->parse(record); … }

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tercel/dataset.h"
#include "tercel/export.h"

namespace tercel::data {

enum class Format {
  by_name,     // .jsonl .ndjson; .csv; .tsv; .txt; .json; .npy; before .gz or .zst
  json_lines,  // an object a line
  csv,         // RFC 4180; the first record names the fields
  tsv,         // the same with tabs between the fields
  text,        // a line is a record with the field "text"
  squad,       // SQuAD's JSON: a question is a record with the fields id, question and context
  npy,         // numpy's array: a row of the first dimension is a record with the field "array"
};

struct ReaderOptions {
  Format format = Format::by_name;  // "-", standard input, is read as JSON Lines then
  // The fields to keep, of formats whose fields have names; all when empty.
  std::vector<std::string> fields;
  // Longer records are bad records: their rest is passed over.
  std::size_t max_record_bytes = std::size_t{16} << 20;
  // Ends a read that waits for a pipe, with Errc::cancelled.
  const std::atomic<bool>* cancel = nullptr;
};

// The one interface of all formats.
class TERCEL_API Reader {
 public:
  virtual ~Reader() = default;
  // Finds where the next record ends, and fills all of `record` but its fields; false at the end.
  // Throws Errc::io, Errc::not_found, or Errc::invalid_file when the file cannot be read on. A
  // record that cannot be used has an `error` and is not parsed.
  virtual bool next(Record& record) = 0;
  // Fills record.fields. Called by many threads at once. Throws Errc::invalid_argument for a bad
  // record; the message does not name the place.
  virtual void parse(Record& record) const = 0;
  // The share of the input's bytes that has been read; 0 when that cannot be told. From any thread.
  virtual double fraction_read() const { return 0; }
};

// `inputs`: files, patterns with * ? [ ] (their matches in the order of their names), or "-". They
// are read one after the other. gzip and zstd are recognised by their content. Throws
// Errc::not_found when a file is missing or a pattern matches nothing, Errc::invalid_argument when
// a format cannot be told.
TERCEL_API std::unique_ptr<Reader> open_reader(const std::vector<std::string>& inputs,
                                               const ReaderOptions& options = {});

// The files that `inputs` stand for.
TERCEL_API std::vector<std::string> expand_inputs(const std::vector<std::string>& inputs);

// "jsonl", "csv", "tsv", "text", "squad", "npy". Throws Errc::invalid_argument.
TERCEL_API Format parse_format(const std::string& name);

}  // namespace tercel::data
