#pragma once
// Named sets of characters, as the regular expressions of the `tokenizers` package see them
// (Oniguruma's tables, written down by scripts/make_regex_tables.py).

#include <cstdint>
#include <optional>
#include <string_view>

#include "src/text/regex/char_set.h"

namespace tercel::text {

// A general category (L, Lu, Uppercase_Letter), a script (Han), or a POSIX class (alpha). Case,
// spaces, '-' and '_' do not count. Null when there is none of that name.
std::optional<CharSet> find_property(std::string_view name);

const CharSet& white_space_set();  // \s
const CharSet& digit_set();        // \d
const CharSet& hex_digit_set();    // \h
const CharSet& word_set();         // \w

// With every character that differs from a member by case alone.
CharSet close_over_case(const CharSet& set);

// Whether, case aside, `text` is also one character, as "ss" is U+00DF.
bool folds_to_one(std::u32string_view text);
// Whether, case aside, one member of the set is also several characters.
bool has_long_fold(const CharSet& set);

// The script that the UnicodeScripts pre-tokenizer gives a character; 0: it joins any other.
uint8_t piece_script(char32_t code);

}  // namespace tercel::text
