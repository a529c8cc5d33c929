#pragma once
// Words, numbers and quoted names of ONNX's textual syntax, with positions for messages.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/ir/type.h"

namespace tercel::ir {

// "float", "bfloat16", … as the syntax has them; not Tercel's own short names.
std::optional<Dtype> dtype_of_word(std::string_view word);
// A word that begins a type: an element type, or seq, map, optional, sparse_tensor.
bool begins_type(std::string_view word);
// Letters, digits and underscores, no digit first.
bool is_word(std::string_view text);
// A word that is read as a name wherever it stands: it begins no type, and is not nan or inf.
bool is_plain_name(std::string_view text);

class Scanner {
 public:
  Scanner(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  bool at_end();
  char peek();                  // the next character that is no space or comment; 0 at the end
  bool accept(char character);  // takes it when it is next
  void expect(char character);
  void expect_arrow();  // =>

  std::string_view peek_word();  // empty when none is next
  std::string word();
  std::string quoted();
  std::string name() { return peek() == '"' ? quoted() : word(); }  // a word or quoted

  struct Number {
    std::string_view text;
    bool integer;
  };
  Number number();  // with sign; nan and inf too
  bool next_is_number();
  int64_t integer();
  template <class T>
  T to(const Number& number);  // int64_t, uint64_t, float, double

  // "<source>:line:column: expected …"
  [[noreturn]] void fail_expecting(std::string_view what);

 private:
  void skip_space();

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
};

Type scan_type(Scanner& scanner);

}  // namespace tercel::ir
