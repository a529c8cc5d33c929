#pragma once
// Reading JSON: a thin view over simdjson whose errors name the file and the key, as
//   config.json: "hidden_size": expected an integer, found a string
// Errors are Errc::invalid_file. Strings are valid UTF-8 (simdjson checks it) and nesting is
// bounded.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <simdjson.h>

namespace tercel {

class Json;

// Owns the parsed text; every Json taken from it is valid while it lives.
class JsonDocument {
 public:
  // Throws Errc::not_found, Errc::io or Errc::invalid_file.
  static JsonDocument open(const std::filesystem::path& path);
  // `source` is what messages call the text.
  static JsonDocument parse(std::string_view text, std::string source);

  Json root() const;

 private:
  friend class Json;
  struct State {
    std::string source;
    simdjson::dom::parser parser;
    simdjson::dom::element root;
  };
  std::unique_ptr<State> state_;
};

class Json {
 public:
  // A member that must be there.
  Json operator[](std::string_view key) const;
  // A member that may be missing or null.
  std::optional<Json> find(std::string_view key) const;

  bool is_null() const { return element_.is_null(); }
  bool is_string() const { return element_.is_string(); }
  bool is_integer() const { return element_.is_int64(); }
  bool is_number() const { return element_.is_number(); }
  bool is_bool() const { return element_.is_bool(); }
  bool is_array() const { return element_.is_array(); }
  bool is_object() const { return element_.is_object(); }

  std::string_view string() const;
  int64_t integer() const;
  double number() const;  // any number
  bool boolean() const;

  std::string_view string_or(std::string_view key, std::string_view otherwise) const;
  int64_t integer_or(std::string_view key, int64_t otherwise) const;
  double number_or(std::string_view key, double otherwise) const;
  bool boolean_or(std::string_view key, bool otherwise) const;

  // Calls visit(Json) for each element of an array, in order.
  template <class F>
  void for_each(F&& visit) const {
    for (const simdjson::dom::element element : array()) visit(Json(state_, key_, element));
  }
  // Calls visit(std::string_view key, Json value) for each member of an object, in the file's
  // order.
  template <class F>
  void for_each_member(F&& visit) const {
    for (const auto [key, value] : object()) visit(key, Json(state_, key, value));
  }
  std::size_t size() const;  // of an array or object

  // Raises Errc::invalid_file about this value.
  [[noreturn]] void reject(std::string_view expectation) const;

 private:
  friend class JsonDocument;
  Json(const JsonDocument::State* state, std::string_view key, simdjson::dom::element element)
      : state_(state), key_(key), element_(element) {}
  simdjson::dom::array array() const;
  simdjson::dom::object object() const;

  const JsonDocument::State* state_;
  std::string_view key_;
  simdjson::dom::element element_;
};

}  // namespace tercel
