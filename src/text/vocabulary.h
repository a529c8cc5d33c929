#pragma once
// Token strings and their ids: a hash table that is quick to fill (it is on the way of loading a
// model) and that finds prefixes of a word without hashing each anew.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/json.h"

namespace tercel::text {

class Vocabulary {
 public:
  // {"token": id, …}. Throws Errc::invalid_file.
  explicit Vocabulary(const Json& vocab);
  // Ids are places in the list; of equal tokens the last one's. Throws Errc::invalid_file.
  explicit Vocabulary(std::span<const std::string_view> tokens);

  static constexpr uint64_t kHashSeed = 0x9E3779B97F4A7C15ULL;
  static uint64_t extend_hash(uint64_t hash, char byte) {
    return (hash ^ static_cast<unsigned char>(byte)) * 0xD6E8FEB86659FD93ULL;
  }
  static uint64_t extend_hash(uint64_t hash, std::string_view bytes) {
    for (const char byte : bytes) hash = extend_hash(hash, byte);
    return hash;
  }

  // The id of prefix + rest, whose hash (kHashSeed extended by both) is given; -1 if there is none.
  int32_t find(std::string_view prefix, std::string_view rest, uint64_t hash) const;
  std::optional<int32_t> find(std::string_view token) const;
  std::optional<std::string_view> token(int32_t id) const;

  std::size_t size() const { return entries_.size(); }
  std::size_t longest() const { return longest_; }  // bytes of the longest token

 private:
  struct Entry {
    uint32_t begin;  // in text_
    uint32_t length;
    int32_t id;
  };
  struct Slot {
    uint32_t tag;    // high half of the hash, to compare before touching the entry
    uint32_t entry;  // index + 1; 0: free
  };
  static uint64_t finish(uint64_t hash) { return hash ^ (hash >> 29); }
  std::string_view text_of(const Entry& entry) const {
    return std::string_view(text_).substr(entry.begin, entry.length);
  }
  void reserve(std::size_t count);
  void insert(std::string_view token, int32_t id);
  void index_ids();

  std::string text_;  // all tokens, end to end
  std::vector<Entry> entries_;
  std::vector<Slot> slots_;      // a power of two, at most half full
  std::vector<uint32_t> by_id_;  // entries, in the order of their ids
  bool dense_ = false;           // by_id_[id] is the entry of id
  std::size_t longest_ = 0;
};

}  // namespace tercel::text
