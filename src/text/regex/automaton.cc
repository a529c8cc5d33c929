#include "src/text/regex/automaton.h"

#include <algorithm>
#include <limits>

namespace tercel::text {
namespace {

using Op = Instruction::Op;

constexpr uint32_t kUnknown = std::numeric_limits<uint32_t>::max();
constexpr uint32_t kAccepted = kUnknown - 1;
constexpr uint32_t kNoMatch = kUnknown - 2;
constexpr uint32_t kNothing = 0;  // the state at the end of the text, which takes no character
constexpr std::size_t kMinBlock = 256;
constexpr std::size_t kMaxBlock = std::size_t{1} << 16;
constexpr std::size_t kNodeBytes = 128;  // of a map, beside the bits themselves

bool has(const std::vector<uint64_t>& bits, uint32_t index) {
  return ((bits[index / 64] >> (index % 64)) & 1) != 0;
}

void set(std::vector<uint64_t>& bits, uint32_t index) {
  bits[index / 64] |= uint64_t{1} << (index % 64);
}

}  // namespace

std::size_t Automaton::HashBits::operator()(const Bits& bits) const {
  uint64_t hash = 0;
  for (const uint64_t word : bits) {
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
    hash ^= hash >> 32;
  }
  return hash;
}

Automaton::Automaton(const Program& program)
    : program_(program), words_(program.code.size() / 64 + 1), row_(program.classes.size() + 1) {
  const std::size_t bytes_a_place = 2 * (kNodeBytes + words_ * sizeof(uint64_t)) +
                                    row_ * sizeof(Transition) +
                                    program.entries.size() * sizeof(uint32_t);
  block_places_ = std::clamp(kCacheBytes / bytes_a_place, kMinBlock, kMaxBlock);
  clear();
}

void Automaton::clear() {
  states_.clear();
  state_bits_.clear();
  transitions_.clear();
  reaches_.clear();
  reach_bits_.clear();
  resolutions_.clear();
  cache_bytes_ = 0;
  state_of(Bits(words_));
}

uint32_t Automaton::state_of(const Bits& bits) {
  const auto [entry, is_new] = states_.try_emplace(bits, static_cast<uint32_t>(state_bits_.size()));
  if (is_new) {
    state_bits_.push_back(&entry->first);
    transitions_.resize(transitions_.size() + row_, {kUnknown, kUnknown});
    cache_bytes_ += kNodeBytes + words_ * sizeof(uint64_t) + row_ * sizeof(Transition);
  }
  return entry->second;
}

uint32_t Automaton::reach_of(const Bits& bits) {
  const auto [entry, is_new] =
      reaches_.try_emplace(bits, static_cast<uint32_t>(reach_bits_.size()));
  if (is_new) {
    reach_bits_.push_back(&entry->first);
    resolutions_.resize(resolutions_.size() + program_.entries.size(), kUnknown);
    cache_bytes_ +=
        kNodeBytes + words_ * sizeof(uint64_t) + program_.entries.size() * sizeof(uint32_t);
  }
  return entry->second;
}

inline Automaton::Transition Automaton::transition(uint32_t state, uint32_t before) {
  ++steps_;
  const Transition known = transitions_[state * row_ + before];
  return known.reach != kUnknown ? known : make_transition(state, before);
}

Automaton::Transition Automaton::make_transition(uint32_t state, uint32_t before) {
  steps_ += program_.code.size();
  const bool at_begin = before == program_.classes.size();
  const auto in_set = [&](const Instruction& instruction) {
    return !at_begin && program_.classes.set_has(instruction.set, before);
  };
  reach_ = *state_bits_[state];
  for (const uint32_t index : program_.order) {
    const Instruction& instruction = program_.code[index];
    bool holds = false;
    switch (instruction.op) {
      case Op::character:
        continue;
      case Op::accept:
        holds = true;
        break;
      case Op::split:
        holds = has(reach_, instruction.next) || has(reach_, instruction.other);
        break;
      case Op::look_behind:
        holds = in_set(instruction) != instruction.negated && has(reach_, instruction.next);
        break;
      case Op::look_ahead:
        holds =
            has(reach_, instruction.other) != instruction.negated && has(reach_, instruction.next);
        break;
    }
    if (holds) set(reach_, index);
  }
  next_.assign(words_, 0);
  for (const uint32_t index : program_.characters) {
    const Instruction& instruction = program_.code[index];
    if (in_set(instruction) && has(reach_, instruction.next)) set(next_, index);
  }
  const Transition made{reach_of(reach_), state_of(next_)};
  transitions_[state * row_ + before] = made;
  return made;
}

inline uint32_t Automaton::resolve(uint32_t reach, uint32_t entry) {
  uint32_t& known = resolutions_[reach * program_.entries.size() + entry];
  if (known == kUnknown) known = make_resolution(reach, entry);
  return known;
}

uint32_t Automaton::make_resolution(uint32_t reach, uint32_t entry) const {
  const Bits& bits = *reach_bits_[reach];
  uint32_t at = program_.entries[entry];
  if (!has(bits, at)) return kNoMatch;
  for (;;) {
    const Instruction& instruction = program_.code[at];
    switch (instruction.op) {
      case Op::accept:
        return kAccepted;
      case Op::character:
        return program_.entry_of[instruction.next];
      case Op::split:
        at = has(bits, instruction.next) ? instruction.next : instruction.other;
        break;
      case Op::look_behind:
      case Op::look_ahead:
        at = instruction.next;
        break;
    }
  }
}

void Automaton::save_block_states() {
  const std::size_t last_block = text_.size() / block_places_;
  block_states_.resize(last_block);
  uint32_t state = kNothing;
  for (std::size_t place = text_.size(); place >= block_places_; --place) {
    state = transition(state, before(place)).state;
    if (place % block_places_ != 0) continue;
    Bits& saved = block_states_[place / block_places_ - 1];
    saved = *state_bits_[state];
    if (cache_bytes_ > kCacheBytes) {
      clear();
      state = state_of(saved);
    }
  }
}

void Automaton::load_block(std::size_t block) {
  if (cache_bytes_ > kCacheBytes) clear();
  block_begin_ = block * block_places_;
  const std::size_t end = std::min(block_begin_ + block_places_, text_.size() + 1);
  reach_at_.resize(end - block_begin_);
  uint32_t state = block < block_states_.size() ? state_of(block_states_[block]) : kNothing;
  for (std::size_t place = end; place-- > block_begin_;) {
    const Transition made = transition(state, before(place));
    reach_at_[place - block_begin_] = made.reach;
    state = made.state;
  }
}

inline uint32_t Automaton::step_right(std::size_t place, uint32_t entry) {
  ++steps_;
  if (place - block_begin_ >= reach_at_.size()) load_block(place / block_places_);
  return resolve(reach_at_[place - block_begin_], entry);
}

void Automaton::find_all(std::span<const uint16_t> text, std::vector<IndexRange>& matches) {
  text_ = text;
  save_block_states();
  load_block(0);
  bool after_match = false;  // whether a match ends at `place`
  for (std::size_t place = 0; place <= text.size();) {
    uint32_t entry = step_right(place, program_.start_entry);
    if (entry == kNoMatch) {
      ++place;
      after_match = false;
      continue;
    }
    std::size_t end = place;
    while (entry != kAccepted) entry = step_right(++end, entry);
    if (end == place && after_match) {
      ++place;
      after_match = false;
      continue;
    }
    matches.push_back({static_cast<uint32_t>(place), static_cast<uint32_t>(end)});
    after_match = true;
    place = end;
  }
}

}  // namespace tercel::text
