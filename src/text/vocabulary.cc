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
  reserve(vocab.size());
  vocab.for_each_member([&](std::string_view token, const Json& id) {
    const int64_t value = id.integer();
    if (value < 0 || value > std::numeric_limits<int32_t>::max()) {
      id.reject("an id from 0 to 2147483647");
    }
    insert(token, static_cast<int32_t>(value));
  });
  index_ids();
}

Vocabulary::Vocabulary(std::span<const std::string_view> tokens) {
  if (tokens.size() > static_cast<std::size_t>(std::numeric_limits<int32_t>::max())) {
    fail(Errc::invalid_file, "a vocabulary of {} tokens: at most 2147483647 have ids",
         tokens.size());
  }
  reserve(tokens.size());
  int32_t id = 0;
  for (const std::string_view token : tokens) insert(token, id++);
  index_ids();
}

void Vocabulary::reserve(std::size_t count) {
  entries_.reserve(count);
  text_.reserve(count * 8);
  slots_.resize(std::bit_ceil(count * 2 + 2));
}

void Vocabulary::index_ids() {
  by_id_.resize(entries_.size());
  std::iota(by_id_.begin(), by_id_.end(), 0U);
  const auto less = [&](uint32_t a, uint32_t b) { return entries_[a].id < entries_[b].id; };
  if (!std::is_sorted(by_id_.begin(), by_id_.end(), less)) {
    std::stable_sort(by_id_.begin(), by_id_.end(), less);
  }
  dense_ = true;
  for (std::size_t i = 0; dense_ && i < by_id_.size(); ++i) {
    dense_ = entries_[by_id_[i]].id == static_cast<int32_t>(i);
  }
}

void Vocabulary::insert(std::string_view token, int32_t id) {
  if (text_.size() + token.size() >= std::numeric_limits<uint32_t>::max()) {
    fail(Errc::invalid_file, "the vocabulary has more than 4 GiB of text");
  }
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
  fail(Errc::invalid_file, "the vocabulary is made to collide in a hash table");
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
  if (dense_) {
    if (id < 0 || static_cast<std::size_t>(id) >= by_id_.size()) return std::nullopt;
    return text_of(entries_[by_id_[static_cast<std::size_t>(id)]]);
  }
  const auto at =
      std::lower_bound(by_id_.begin(), by_id_.end(), id,
                       [&](uint32_t i, int32_t value) { return entries_[i].id < value; });
  if (at == by_id_.end() || entries_[*at].id != id) return std::nullopt;
  return text_of(entries_[*at]);
}

}  // namespace tercel::text
