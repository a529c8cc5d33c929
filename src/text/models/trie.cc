#include "src/text/models/trie.h"

#include <deque>
#include <limits>

#include "src/base/fail.h"

namespace tercel::text {

Trie::Trie(std::vector<Entry> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.first < b.first; });
  std::size_t bytes = 1;
  for (const Entry& entry : entries) bytes += entry.first.size();
  if (bytes > std::numeric_limits<uint32_t>::max()) {
    fail(Errc::invalid_file, "the vocabulary has more than 4 GiB of text");
  }
  // What the strings of the nodes that wait are, in the nodes' order, and how long the prefix is
  // that they share.
  struct Range {
    std::size_t begin;
    std::size_t end;
    std::size_t depth;
  };
  std::deque<Range> waiting = {{0, entries.size(), 0}};
  nodes_.emplace_back();
  labels_.push_back(0);
  for (std::size_t at = 0; !waiting.empty(); ++at) {
    auto [begin, end, depth] = waiting.front();
    waiting.pop_front();
    for (; begin < end && entries[begin].first.size() == depth; ++begin) {
      if (depth > 0) nodes_[at].value = entries[begin].second;
    }
    nodes_[at].first = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const auto label = static_cast<unsigned char>(entries[begin].first[depth]);
      std::size_t next = begin;
      while (next < end && static_cast<unsigned char>(entries[next].first[depth]) == label) ++next;
      if (at == kRoot) root_[label] = static_cast<uint32_t>(nodes_.size());
      waiting.push_back({begin, next, depth + 1});
      nodes_.emplace_back();
      labels_.push_back(label);
      ++nodes_[at].count;
      begin = next;
    }
  }
}

}  // namespace tercel::text
