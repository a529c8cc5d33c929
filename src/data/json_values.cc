#include "src/data/json_values.h"

#include <algorithm>
#include <optional>

#include "src/base/fail.h"
#include "src/data/formats.h"

namespace tercel::data {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::element_type;

// The numbers of nested arrays, as long as those of a depth are equally long.
class Numbers {
 public:
  static std::optional<Tensor> tensor_of(element outermost) {
    Numbers numbers;
    numbers.measure(outermost);
    if (!numbers.visit(outermost, 0)) return std::nullopt;
    const auto count = static_cast<std::size_t>(element_count(numbers.shape_));
    if (numbers.floats_.size() != count) return std::nullopt;
    if (numbers.all_integers_) return Tensor::from(numbers.integers_, numbers.shape_);
    return Tensor::from(numbers.floats_, numbers.shape_);
  }

 private:
  // The first array of each depth says how long they are there.
  void measure(element item) {
    array list;
    while (item.get(list) == simdjson::SUCCESS) {
      shape_.push_back(static_cast<int64_t>(list.size()));
      if (list.at(0).get(item) != simdjson::SUCCESS) break;
    }
  }

  bool visit(element item, std::size_t depth) {
    if (depth == shape_.size()) return add(item);
    array list;
    if (item.get(list) != simdjson::SUCCESS) return false;
    if (static_cast<int64_t>(list.size()) != shape_[depth]) return false;
    return std::all_of(list.begin(), list.end(),
                       [&](element inner) { return visit(inner, depth + 1); });
  }

  bool add(element item) {
    int64_t integer = 0;
    double number = 0;
    if (item.get(number) != simdjson::SUCCESS) return false;
    all_integers_ = all_integers_ && item.get(integer) == simdjson::SUCCESS;
    if (all_integers_) integers_.push_back(integer);
    floats_.push_back(number);
    return true;
  }

  Shape shape_;
  std::vector<int64_t> integers_;
  std::vector<double> floats_;
  bool all_integers_ = true;
};

}  // namespace

Value value_of(element item) {
  switch (item.type()) {
    case element_type::NULL_VALUE:
      return std::monostate();
    case element_type::BOOL:
      return bool(item);
    case element_type::INT64:
      return int64_t(item);
    case element_type::DOUBLE:
      return double(item);
    case element_type::STRING:
      return std::string(std::string_view(item));
    case element_type::ARRAY:
      if (auto tensor = Numbers::tensor_of(item)) return std::move(*tensor);
      break;
    case element_type::OBJECT:
    case element_type::UINT64:  // beyond what i64 holds
      break;
  }
  return JsonText{simdjson::minify(item)};
}

simdjson::dom::parser& thread_parser() {
  thread_local simdjson::dom::parser parser;
  return parser;
}

std::string json_problem(simdjson::error_code code) {
  if (code == simdjson::UTF8_ERROR) return "it is not UTF-8";
  std::string reason = simdjson::error_message(code);
  return "broken JSON: " + reason;
}

void parse_json_line(Record& record, const std::vector<std::string>& wanted) {
  record.raw.reserve(record.raw.size() + simdjson::SIMDJSON_PADDING);
  element root;
  const auto code = thread_parser().parse(record.raw.data(), record.raw.size(), false).get(root);
  if (code != simdjson::SUCCESS) fail(Errc::invalid_argument, "{}", json_problem(code));
  simdjson::dom::object object;
  if (root.get(object) != simdjson::SUCCESS) {
    fail(Errc::invalid_argument, "the line is no JSON object, such as {{\"text\": \"…\"}}");
  }
  for (const auto& [key, value] : object) {
    const bool keep =
        wanted.empty() || std::find(wanted.begin(), wanted.end(), key) != wanted.end();
    if (keep) record.fields.push_back({std::string(key), value_of(value)});
  }
}

}  // namespace tercel::data
