#pragma once
// Data sets, in the vocabulary of torch.utils.data: a data set says how a record becomes features.
//
//   A map-style Dataset has a size, and an example at each index.
//   An IterableDataset gives records one after the other, as a file does; what has to be computed
//   for each (parsing, tokenisation) is a function of its own, so that a DataLoader's workers can
//   call it at the same time.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "tercel/export.h"
#include "tercel/named_tensors.h"

namespace tercel::data {

// JSON that is none of the simple types: an object, an array that is no tensor, or an integer
// beyond i64.
struct JsonText {
  std::string text;
};

// A field of a record. An array of numbers (nested ones: of equal lengths) is a tensor, i64 when
// all are integers, f64 otherwise.
using Value = std::variant<std::monostate, bool, int64_t, double, std::string, Tensor, JsonText>;

struct Field {
  std::string name;
  Value value;
};

// One entry of the input.
struct TERCEL_API Record {
  int64_t index = 0;                        // among all records of the input, from 0
  std::shared_ptr<const std::string> file;  // where it stands; null when it comes from memory
  int64_t line = 0;                         // from 1; 0 when the file has no lines
  // The names of the fields, in formats that say them once a file.
  std::shared_ptr<const std::vector<std::string>> columns;
  std::string raw;            // as it stands in the input; of a record that is too long, its begin
  std::vector<Field> fields;  // once it is parsed
  std::string error;          // why it cannot be used; empty for a good one

  const Value* find(std::string_view name) const;  // null when there is no such field
  // A field that must be a text. Throws Errc::invalid_argument, naming the field.
  const std::string& text(std::string_view name) const;
  // "questions.jsonl:12"
  std::string place() const;
  // Bytes that it holds, about.
  std::size_t bytes() const;
};

// One row of a batch: what the model sees of a record, or of a part of it.
struct TERCEL_API Example {
  NamedTensors features;          // by the name of the model's input, without the batch dimension
  int64_t length = 1;             // tokens: what batches are balanced by
  int64_t group = 0;              // examples of different groups do not share a batch
  int64_t record = 0;             // Record::index, or the index in a map-style data set
  std::shared_ptr<void> context;  // whatever the data set wants to have beside the results
  std::size_t context_bytes = 0;  // what that counts for in a loader's budget of memory

  std::size_t bytes() const;
};

class TERCEL_API Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  // Called by many threads at once. An Error with a code that speaks of the data
  // (invalid_argument, invalid_file, not_found, unsupported) rejects this example; any other, and
  // any other exception, ends the loading.
  virtual Example get(int64_t index) const = 0;
};

class TERCEL_API IterableDataset {
 public:
  virtual ~IterableDataset() = default;
  // The next record, not parsed; false at the end. Called by one thread at a time: cheap.
  virtual bool next(Record& record) = 0;
  // What the record becomes: one example or several (windows of a long text). Called by many
  // threads at once; errors as those of Dataset::get.
  virtual std::vector<Example> examples(Record& record) const = 0;
};

class Reader;

// What a reader gives, through a function that makes examples of a parsed record.
class TERCEL_API ReaderDataset : public IterableDataset {
 public:
  using Transform = std::function<std::vector<Example>(Record& record)>;
  ReaderDataset(std::unique_ptr<Reader> reader, Transform transform);
  ~ReaderDataset() override;
  bool next(Record& record) override;
  std::vector<Example> examples(Record& record) const override;

 private:
  std::unique_ptr<Reader> reader_;
  Transform transform_;
};

}  // namespace tercel::data
