#pragma once
// A regular expression as instructions (Thompson, 1968). An iteration of a loop that consumes
// nothing leads out of the loop, so no path comes back to where it was without a character.

#include <cstdint>
#include <vector>

#include "src/text/regex/class_map.h"
#include "src/text/regex/syntax.h"

namespace tercel::text {

struct Instruction {
  enum class Op : uint8_t {
    accept,
    character,    // the next character is in `set`; goes on at `next`
    split,        // goes on at `next`, or else at `other`
    look_behind,  // the character before is in `set`
    look_ahead,   // the instructions from `other` on match here
  };
  Op op;
  bool negated = false;
  uint32_t set = 0;
  uint32_t next = 0;
  uint32_t other = 0;
};

struct Program {
  std::vector<Instruction> code;
  uint32_t start = 0;
  ClassMap classes;
  std::vector<uint32_t> order;  // every instruction after those it leads to without a character
  std::vector<uint32_t> characters;  // the character instructions
  // Places to go on at after a character, and the start, numbered; start_entry is the start's.
  std::vector<uint32_t> entries;
  std::vector<uint32_t> entry_of;  // by instruction
  uint32_t start_entry = 0;
};

// Throws Errc::unsupported when the pattern needs more instructions than kMaxInstructions.
inline constexpr std::size_t kMaxInstructions = 4096;
Program compile_regex(const ParsedRegex& regex);

}  // namespace tercel::text
