#include "tercel/dataset.h"

#include <algorithm>
#include <utility>

#include "src/base/fail.h"
#include "tercel/reader.h"

namespace tercel::data {
namespace {

// Of a shared block of elements and a node of a map.
constexpr std::size_t kTensorOverhead = 192;

std::size_t bytes_of_value(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return text->capacity();
  if (const auto* json = std::get_if<JsonText>(&value)) return json->text.capacity();
  if (const auto* tensor = std::get_if<Tensor>(&value)) return tensor->bytes() + kTensorOverhead;
  return 0;
}

}  // namespace

const Value* Record::find(std::string_view name) const {
  const auto found = std::find_if(fields.begin(), fields.end(),
                                  [&](const Field& field) { return field.name == name; });
  return found == fields.end() ? nullptr : &found->value;
}

const std::string& Record::text(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) fail(Errc::invalid_argument, "it has no field \"{}\"", name);
  const auto* text = std::get_if<std::string>(value);
  if (text == nullptr) fail(Errc::invalid_argument, "its field \"{}\" is no text", name);
  return *text;
}

std::string Record::place() const {
  if (!file) return fmt::format("record {}", index);
  if (line == 0) return fmt::format("{}: record {}", *file, index);
  return fmt::format("{}:{}", *file, line);
}

std::size_t Record::bytes() const {
  std::size_t sum = sizeof(Record) + raw.capacity() + error.capacity();
  for (const Field& field : fields) {
    sum += sizeof(Field) + field.name.capacity() + bytes_of_value(field.value);
  }
  return sum;
}

std::size_t Example::bytes() const {
  std::size_t sum = sizeof(Example) + context_bytes;
  for (const auto& [name, tensor] : features) {
    sum += kTensorOverhead + name.capacity() + tensor.bytes();
  }
  return sum;
}

ReaderDataset::ReaderDataset(std::unique_ptr<Reader> reader, Transform transform)
    : reader_(std::move(reader)), transform_(std::move(transform)) {}

ReaderDataset::~ReaderDataset() = default;

bool ReaderDataset::next(Record& record) { return reader_->next(record); }

std::vector<Example> ReaderDataset::examples(Record& record) const {
  reader_->parse(record);
  return transform_(record);
}

}  // namespace tercel::data
