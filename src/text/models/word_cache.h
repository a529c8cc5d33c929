#pragma once
// The tokens of short words that a thread has seen before. Text repeats its words, so that most are
// found here and not computed anew. A table of fixed size, 0.8 MB, one a thread and (nearly) model:
// nothing is shared, nothing grows.

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "src/text/model.h"

namespace tercel::text {

class WordCache {
 public:
  // A number for a model that is this process's alone.
  static uint64_t new_owner();
  // This thread's cache, emptied if it held another owner's words.
  static WordCache& of(uint64_t owner);

  // Longer words are rare.
  static constexpr std::size_t kMaxWord = 38;
  static constexpr std::size_t kMaxTokens = 9;

  // What a word's tokens are kept under, of `word` with at most kMaxWord bytes.
  struct Key {
    uint32_t tag;
    uint32_t slot;
  };
  static Key key_of(std::string_view word);

  bool find(Key key, std::string_view word, std::vector<ModelToken>& tokens) const;
  // Keeps tokens[first…] for the word, if they fit, instead of what was there.
  void insert(Key key, std::string_view word, const std::vector<ModelToken>& tokens,
              std::size_t first);

 private:
  static constexpr std::size_t kSlots = 8192;
  struct Slot {
    uint32_t tag = 0;
    uint8_t length = 0;  // 0: free
    uint8_t count = 0;
    std::array<char, kMaxWord> word{};
    std::array<int32_t, kMaxTokens> ids{};
    std::array<uint8_t, kMaxTokens> begins{};
    std::array<uint8_t, kMaxTokens> ends{};
  };

  uint64_t owner_ = 0;
  std::vector<Slot> slots_;
};

// Appends the tokens of `word`: from this thread's cache, or else from `compute(word, tokens)`.
template <class Compute>
void tokenize_cached(uint64_t owner, std::string_view word, std::vector<ModelToken>& tokens,
                     Compute&& compute) {
  if (word.size() > WordCache::kMaxWord) return compute(word, tokens);
  WordCache& cache = WordCache::of(owner);
  const WordCache::Key key = WordCache::key_of(word);
  if (cache.find(key, word, tokens)) return;
  const std::size_t first = tokens.size();
  compute(word, tokens);
  cache.insert(key, word, tokens, first);
}

}  // namespace tercel::text
