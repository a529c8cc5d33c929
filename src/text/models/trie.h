#pragma once
// Strings with values, and the search for all of them that begin a text, a byte a step.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace tercel::text {

class Trie {
 public:
  using Entry = std::pair<std::string_view, int32_t>;
  // Values are not negative. Empty strings are left out; of equal ones the last wins. Throws
  // Errc::invalid_file when all together have more than 4 GiB.
  explicit Trie(std::vector<Entry> entries);

  static constexpr uint32_t kRoot = 0;
  // The node after `node` by `byte`; kRoot when there is none.
  uint32_t step(uint32_t node, unsigned char byte) const {
    const Node& from = nodes_[node];
    if (from.count == 1) return labels_[from.first] == byte ? from.first : kRoot;
    if (node == kRoot) return root_[byte];
    const void* found =
        from.count == 0 ? nullptr : std::memchr(&labels_[from.first], byte, from.count);
    if (found == nullptr) return kRoot;
    return static_cast<uint32_t>(static_cast<const unsigned char*>(found) - labels_.data());
  }
  // The value of the string that ends here, or -1.
  int32_t value(uint32_t node) const { return nodes_[node].value; }

 private:
  struct Node {
    uint32_t first = 0;  // of its children, which lie side by side
    uint32_t count = 0;
    int32_t value = -1;
  };
  std::vector<Node> nodes_;
  std::vector<unsigned char> labels_;  // of each node: the byte that leads to it
  uint32_t root_[256] = {};
};

}  // namespace tercel::text
