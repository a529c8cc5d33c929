#pragma once
// Finds all matches of a program in a text, in time linear in the text whatever the pattern.
//
// A backtracking engine walks from the left, and where it has a choice it takes the first branch
// that will lead to a match. Here a pass from the right works out beforehand, at every place, from
// which instructions a match can be reached (Frisch and Cardelli, "Greedy regular expression
// matching", 2004); the walk then never takes a wrong branch. Lookahead is such a question too, so
// it costs nothing more. The sets of instructions are states of an automaton that is made as it is
// needed, within kCacheBytes; when it grows beyond, it is thrown away.

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "src/text/aligned_text.h"
#include "src/text/regex/program.h"

namespace tercel::text {

class Automaton {
 public:
  static constexpr std::size_t kCacheBytes = std::size_t{4} << 20;

  // The program must outlive it.
  explicit Automaton(const Program& program);

  // `text` is in classes of program.classes. Appends the matches from left to right; an empty one
  // is left out where the match before it ends.
  void find_all(std::span<const uint16_t> text, std::vector<IndexRange>& matches);

  // Places visited and instructions evaluated so far, for tests.
  uint64_t steps() const { return steps_; }

 private:
  using Bits = std::vector<uint64_t>;  // one for each instruction
  struct HashBits {
    std::size_t operator()(const Bits& bits) const;
  };
  using BitsMap = std::unordered_map<Bits, uint32_t, HashBits>;
  // What the character before a place leads to: the instructions that can match from the place on,
  // and the state of the place before it.
  struct Transition {
    uint32_t reach;
    uint32_t state;
  };

  void clear();
  uint32_t state_of(const Bits& bits);
  uint32_t reach_of(const Bits& bits);
  Transition transition(uint32_t state, uint32_t before);
  Transition make_transition(uint32_t state, uint32_t before);
  uint32_t resolve(uint32_t reach, uint32_t entry);
  uint32_t make_resolution(uint32_t reach, uint32_t entry) const;
  uint32_t before(std::size_t place) const {
    return place == 0 ? program_.classes.size() : text_[place - 1];
  }
  void save_block_states();
  void load_block(std::size_t block);
  uint32_t step_right(std::size_t place, uint32_t entry);

  const Program& program_;
  std::size_t words_;
  std::size_t row_;           // transitions of a state
  std::size_t block_places_;  // so many that their new states are about a cache

  // A state is the set of character instructions that take the character at a place, from where a
  // match can be reached.
  BitsMap states_;
  std::vector<const Bits*> state_bits_;
  std::vector<Transition> transitions_;
  BitsMap reaches_;
  std::vector<const Bits*> reach_bits_;
  std::vector<uint32_t> resolutions_;  // of each reach and entry
  std::size_t cache_bytes_ = 0;
  Bits reach_;  // scratch of make_transition
  Bits next_;
  uint64_t steps_ = 0;

  std::span<const uint16_t> text_;
  std::vector<Bits> block_states_;  // of the last place of each block but the last
  std::vector<uint32_t> reach_at_;  // of the places of the block that is loaded
  std::size_t block_begin_ = 0;
};

}  // namespace tercel::text
