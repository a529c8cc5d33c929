#include "src/text/models/word_cache.h"

#include <atomic>
#include <cstring>

namespace tercel::text {

uint64_t WordCache::new_owner() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

WordCache& WordCache::of(uint64_t owner) {
  // Two, so that a program that uses two tokenizers in turns keeps both.
  thread_local std::array<WordCache, 2> caches;
  WordCache& cache = caches[owner & 1U];
  if (cache.owner_ != owner) {
    cache.slots_.assign(kSlots, {});
    cache.owner_ = owner;
  }
  return cache;
}

WordCache::Key WordCache::key_of(std::string_view word) {
  uint64_t hash = word.size();
  const char* at = word.data();
  std::size_t left = word.size();
  const auto mix = [&](uint64_t part) {
    hash = (hash ^ part) * 0xD6E8FEB86659FD93ULL;
    hash ^= hash >> 32U;
  };
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t part = 0;
    std::memcpy(&part, at, 8);
    mix(part);
  }
  uint64_t rest = 0;
  std::memcpy(&rest, at, left);
  mix(rest);
  return {static_cast<uint32_t>(hash >> 32U), static_cast<uint32_t>(hash % kSlots)};
}

bool WordCache::find(Key key, std::string_view word, std::vector<ModelToken>& tokens) const {
  const Slot& slot = slots_[key.slot];
  if (slot.tag != key.tag || slot.length != word.size() || slot.length == 0 ||
      std::memcmp(slot.word.data(), word.data(), word.size()) != 0) {
    return false;
  }
  for (std::size_t i = 0; i < slot.count; ++i) {
    tokens.push_back({slot.ids[i], slot.begins[i], slot.ends[i]});
  }
  return true;
}

void WordCache::insert(Key key, std::string_view word, const std::vector<ModelToken>& tokens,
                       std::size_t first) {
  const std::size_t count = tokens.size() - first;
  if (count > kMaxTokens || word.empty()) return;
  Slot& slot = slots_[key.slot];
  slot.length = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const ModelToken& token = tokens[first + i];
    if (token.begin > UINT8_MAX || token.end > UINT8_MAX) return;
    slot.ids[i] = token.id;
    slot.begins[i] = static_cast<uint8_t>(token.begin);
    slot.ends[i] = static_cast<uint8_t>(token.end);
  }
  std::memcpy(slot.word.data(), word.data(), word.size());
  slot.tag = key.tag;
  slot.count = static_cast<uint8_t>(count);
  slot.length = static_cast<uint8_t>(word.size());
}

}  // namespace tercel::text
