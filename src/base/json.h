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

#include "src/base/function_ref.h"

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
  struct State;
  struct Deleter {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Deleter> state_;
};

class Json {
 public:
  // A member that must be there.
  Json operator[](std::string_view key) const;
  // A member that may be missing or null.
  std::optional<Json> find(std::string_view key) const;

  bool is_null() const;
  bool is_string() const;
  bool is_integer() const;
  bool is_number() const;
  bool is_bool() const;
  bool is_array() const;
  bool is_object() const;

  std::string_view string() const;
  int64_t integer() const;
  double number() const;  // any number
  bool boolean() const;

  std::string_view string_or(std::string_view key, std::string_view otherwise) const;
  int64_t integer_or(std::string_view key, int64_t otherwise) const;
  double number_or(std::string_view key, double otherwise) const;
  bool boolean_or(std::string_view key, bool otherwise) const;

  // For each element of an array, in order.
  void for_each(FunctionRef<void(Json)> visit) const;
  // For each member of an object, in the file's order.
  void for_each_member(FunctionRef<void(std::string_view, Json)> visit) const;
  std::size_t size() const;  // of an array or object

  // Raises Errc::invalid_file about this value.
  [[noreturn]] void reject(std::string_view expectation) const;

 private:
  friend class JsonDocument;
  // What simdjson knows a value by, without its header, which takes longer to compile than most
  // files that read JSON.
  struct Element {
    const void* document;
    std::size_t index;
  };
  struct Access;

  Json(const JsonDocument::State* state, std::string_view key, Element element)
      : state_(state), key_(key), element_(element) {}

  const JsonDocument::State* state_;
  std::string_view key_;
  Element element_;
};

}  // namespace tercel
