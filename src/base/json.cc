#include "src/base/json.h"

#include <bit>

#include <simdjson.h>

#include "src/base/fail.h"
#include "src/base/mapped_file.h"

namespace tercel {

using simdjson::dom::element;

struct JsonDocument::State {
  std::string source;
  simdjson::dom::parser parser;
  simdjson::dom::element root;
};

void JsonDocument::Deleter::operator()(State* state) const { delete state; }

struct Json::Access {
  static element of(const Json& json) { return std::bit_cast<element>(json.element_); }
  static Json make(const Json& parent, std::string_view key, element value) {
    return {parent.state_, key, std::bit_cast<Element>(value)};
  }
  static simdjson::dom::array array(const Json& json) {
    simdjson::dom::array value;
    if (of(json).get(value) != simdjson::SUCCESS) json.reject("an array");
    return value;
  }
  static simdjson::dom::object object(const Json& json) {
    simdjson::dom::object value;
    if (of(json).get(value) != simdjson::SUCCESS) json.reject("an object");
    return value;
  }
};

namespace {

std::string_view type_name(element element) {
  if (element.is_null()) return "null";
  if (element.is_string()) return "a string";
  if (element.is_int64()) return "an integer";
  if (element.is_number()) return "a number";
  if (element.is_bool()) return "a boolean";
  return element.is_array() ? "an array" : "an object";
}

}  // namespace

JsonDocument JsonDocument::open(const std::filesystem::path& path) {
  const auto file = MappedFile::open(path);
  const auto bytes = file->bytes();
  return parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

JsonDocument JsonDocument::parse(std::string_view text, std::string source) {
  JsonDocument document;
  document.state_.reset(new State);
  document.state_->source = std::move(source);
  const auto error =
      document.state_->parser.parse(text.data(), text.size(), true).get(document.state_->root);
  if (error != simdjson::SUCCESS) {
    fail(Errc::invalid_file, "{}: not valid JSON: {}", document.state_->source,
         simdjson::error_message(error));
  }
  return document;
}

Json JsonDocument::root() const {
  return {state_.get(), {}, std::bit_cast<Json::Element>(state_->root)};
}

bool Json::is_null() const { return Access::of(*this).is_null(); }
bool Json::is_string() const { return Access::of(*this).is_string(); }
bool Json::is_integer() const { return Access::of(*this).is_int64(); }
bool Json::is_number() const { return Access::of(*this).is_number(); }
bool Json::is_bool() const { return Access::of(*this).is_bool(); }
bool Json::is_array() const { return Access::of(*this).is_array(); }
bool Json::is_object() const { return Access::of(*this).is_object(); }

void Json::reject(std::string_view expectation) const {
  if (key_.empty()) {
    fail(Errc::invalid_file, "{}: expected {}, found {}", state_->source, expectation,
         type_name(Access::of(*this)));
  }
  fail(Errc::invalid_file, "{}: \"{}\": expected {}, found {}", state_->source, key_, expectation,
       type_name(Access::of(*this)));
}

Json Json::operator[](std::string_view key) const {
  element member;
  if (Access::object(*this).at_key(key).get(member) != simdjson::SUCCESS) {
    fail(Errc::invalid_file, "{}: {}\"{}\" is missing", state_->source,
         key_.empty() ? std::string() : fmt::format("\"{}\": ", key_), key);
  }
  return Access::make(*this, key, member);
}

std::optional<Json> Json::find(std::string_view key) const {
  element member;
  if (Access::object(*this).at_key(key).get(member) != simdjson::SUCCESS || member.is_null())
    return std::nullopt;
  return Access::make(*this, key, member);
}

std::string_view Json::string() const {
  std::string_view value;
  if (Access::of(*this).get(value) != simdjson::SUCCESS) reject("a string");
  return value;
}

int64_t Json::integer() const {
  int64_t value = 0;
  if (Access::of(*this).get(value) != simdjson::SUCCESS) reject("an integer");
  return value;
}

double Json::number() const {
  double value = 0;
  if (Access::of(*this).get(value) != simdjson::SUCCESS) reject("a number");
  return value;
}

bool Json::boolean() const {
  bool value = false;
  if (Access::of(*this).get(value) != simdjson::SUCCESS) reject("true or false");
  return value;
}

std::string_view Json::string_or(std::string_view key, std::string_view otherwise) const {
  const auto member = find(key);
  return member ? member->string() : otherwise;
}

int64_t Json::integer_or(std::string_view key, int64_t otherwise) const {
  const auto member = find(key);
  return member ? member->integer() : otherwise;
}

double Json::number_or(std::string_view key, double otherwise) const {
  const auto member = find(key);
  return member ? member->number() : otherwise;
}

bool Json::boolean_or(std::string_view key, bool otherwise) const {
  const auto member = find(key);
  return member ? member->boolean() : otherwise;
}

void Json::for_each(FunctionRef<void(Json)> visit) const {
  for (const element value : Access::array(*this)) visit(Access::make(*this, key_, value));
}

void Json::for_each_member(FunctionRef<void(std::string_view, Json)> visit) const {
  for (const auto& [key, value] : Access::object(*this))
    visit(key, Access::make(*this, key, value));
}

std::size_t Json::size() const {
  return is_array() ? Access::array(*this).size() : Access::object(*this).size();
}

}  // namespace tercel
