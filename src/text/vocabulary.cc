#include "src/text/vocabulary.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <numeric>

#include "src/base/fail.h"

namespace tercel::text {
namespace {
// Far more than a half-full table ever needs: only a file made to collide comes here.
constexpr std::size_t kMaxProbes = 4096;
}  // namespace

Vocabulary::Vocabulary(const Json& vocab) {
  const std::size_t count = vocab.size();
  entries_.reserve(count);
  text_.reserve(count * 8);
  slots_.resize(std::bit_ceil(count * 2 + 2));
  vocab.for_each_member([&](std::string_view token, const Json& id) {
    const int64_t value = id.integer();
    if (value < 0 || value > std::numeric_limits<int32_t>::max()) {
      id.reject("an id from 0 to 2147483647");
    }
    if (text_.size() + token.size() >= std::numeric_limits<uint32_t>::max()) {
      vocab.reject("a vocabulary of less than 4 GiB");
    }
    insert(token, static_cast<int32_t>(value));
  });
  by_id_.resize(entries_.size());
  std::iota(by_id_.begin(), by_id_.end(), 0U);
  const auto less = [&](uint32_t a, uint32_t b) { return entries_[a].id < entries_[b].id; };
  if (!std::is_sorted(by_id_.begin(), by_id_.end(), less)) {
    std::stable_sort(by_id_.begin(), by_id_.end(), less);
  }
}

void Vocabulary::insert(std::string_view token, int32_t id) {
  const uint64_t hash = finish(extend_hash(kHashSeed, token));
  const std::size_t mask = slots_.size() - 1;
  const auto tag = static_cast<uint32_t>(hash >> 32);
  for (std::size_t probe = 0; probe < kMaxProbes; ++probe) {
    Slot& slot = slots_[(hash + probe) & mask];
    if (slot.entry == 0) {
      slot = {tag, static_cast<uint32_t>(entries_.size() + 1)};
      entries_.push_back(
          {static_cast<uint32_t>(text_.size()), static_cast<uint32_t>(token.size()), id});
      text_.append(token);
      longest_ = std::max(longest_, token.size());
      return;
    }
    if (slot.tag == tag && text_of(entries_[slot.entry - 1]) == token) {
      entries_[slot.entry - 1].id = id;
      return;
    }
  }
  fail(Errc::invalid_file, "tokenizer.json: the vocabulary is made to collide in a hash table");
}

int32_t Vocabulary::find(std::string_view prefix, std::string_view rest, uint64_t hash) const {
  hash = finish(hash);
  const std::size_t mask = slots_.size() - 1;
  const auto tag = static_cast<uint32_t>(hash >> 32);
  for (std::size_t at = hash & mask; slots_[at].entry != 0; at = (at + 1) & mask) {
    if (slots_[at].tag != tag) continue;
    const Entry& entry = entries_[slots_[at].entry - 1];
    if (entry.length != prefix.size() + rest.size()) continue;
    const std::string_view text = text_of(entry);
    if (text.substr(0, prefix.size()) == prefix && text.substr(prefix.size()) == rest) {
      return entry.id;
    }
  }
  return -1;
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
  const int32_t id = find({}, token, extend_hash(kHashSeed, token));
  return id < 0 ? std::nullopt : std::optional(id);
}

std::optional<std::string_view> Vocabulary::token(int32_t id) const {
  const auto at =
      std::lower_bound(by_id_.begin(), by_id_.end(), id,
                       [&](uint32_t i, int32_t value) { return entries_[i].id < value; });
  if (at == by_id_.end() || entries_[*at].id != id) return std::nullopt;
  return text_of(entries_[*at]);
}

}  // namespace tercel::text
