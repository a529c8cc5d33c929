#include "src/base/json.h"

#include "src/base/fail.h"
#include "src/base/mapped_file.h"

namespace tercel {
namespace {

std::string_view type_name(simdjson::dom::element element) {
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
  document.state_ = std::make_unique<State>();
  document.state_->source = std::move(source);
  const auto error =
      document.state_->parser.parse(text.data(), text.size(), true).get(document.state_->root);
  if (error != simdjson::SUCCESS) {
    fail(Errc::invalid_file, "{}: not valid JSON: {}", document.state_->source,
         simdjson::error_message(error));
  }
  return document;
}

Json JsonDocument::root() const { return {state_.get(), {}, state_->root}; }

void Json::reject(std::string_view expectation) const {
  if (key_.empty()) {
    fail(Errc::invalid_file, "{}: expected {}, found {}", state_->source, expectation,
         type_name(element_));
  }
  fail(Errc::invalid_file, "{}: \"{}\": expected {}, found {}", state_->source, key_, expectation,
       type_name(element_));
}

Json Json::operator[](std::string_view key) const {
  simdjson::dom::element member;
  if (object().at_key(key).get(member) != simdjson::SUCCESS) {
    fail(Errc::invalid_file, "{}: {}\"{}\" is missing", state_->source,
         key_.empty() ? std::string() : fmt::format("\"{}\": ", key_), key);
  }
  return {state_, key, member};
}

std::optional<Json> Json::find(std::string_view key) const {
  simdjson::dom::element member;
  if (object().at_key(key).get(member) != simdjson::SUCCESS || member.is_null())
    return std::nullopt;
  return Json(state_, key, member);
}

std::string_view Json::string() const {
  std::string_view value;
  if (element_.get(value) != simdjson::SUCCESS) reject("a string");
  return value;
}

int64_t Json::integer() const {
  int64_t value = 0;
  if (element_.get(value) != simdjson::SUCCESS) reject("an integer");
  return value;
}

double Json::number() const {
  double value = 0;
  if (element_.get(value) != simdjson::SUCCESS) reject("a number");
  return value;
}

bool Json::boolean() const {
  bool value = false;
  if (element_.get(value) != simdjson::SUCCESS) reject("true or false");
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

simdjson::dom::array Json::array() const {
  simdjson::dom::array value;
  if (element_.get(value) != simdjson::SUCCESS) reject("an array");
  return value;
}

simdjson::dom::object Json::object() const {
  simdjson::dom::object value;
  if (element_.get(value) != simdjson::SUCCESS) reject("an object");
  return value;
}

std::size_t Json::size() const { return is_array() ? array().size() : object().size(); }

}  // namespace tercel
