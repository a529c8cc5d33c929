// SentencePiece's BPE over a normalized text: of all neighbours that are a piece together, those
// with the best score become one symbol, until none are left.

#include <queue>
#include <unordered_map>
#include <utility>

#include "src/text/sentencepiece/models.h"

namespace tercel::text {
namespace {

constexpr uint32_t kNoSymbol = UINT32_MAX;

struct Symbol {
  uint32_t begin;
  uint32_t length;  // 0: merged away
  uint32_t previous;
  uint32_t next;
  bool frozen;  // a user-defined symbol: never merges
};

struct Candidate {
  float score;
  uint32_t left;
  uint32_t right;
  uint32_t length;
  // The queue's top is the best score, the leftmost of equals.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.score < b.score || (a.score == b.score && a.left > b.left);
  }
};

class SentencePieceBpe final : public SentencePieceModel {
 public:
  explicit SentencePieceBpe(const SentencePieceFile& file)
      : SentencePieceModel(file), symbols_(file) {}

  void tokenize(std::string_view word, std::vector<ModelToken>& tokens) const override {
    Work work{word, split(word), {}, {}};
    for (uint32_t i = 1; i < work.symbols.size(); ++i) offer(work, i - 1, i);
    merge(work);
    bool after_unknown = false;
    for (uint32_t i = 0; i != kNoSymbol; i = work.symbols[i].next) {
      append(work, work.symbols[i], tokens, after_unknown);
    }
  }

 private:
  struct Work {
    std::string_view text;
    std::vector<Symbol> symbols;
    std::priority_queue<Candidate> queue;
    std::unordered_map<int32_t, uint32_t> left_parts;  // of unused pieces: bytes of the left part
  };

  std::vector<Symbol> split(std::string_view text) const {
    std::vector<Symbol> symbols;
    symbols.reserve(text.size());
    for (uint32_t begin = 0; begin < text.size();) {
      const auto [length, is_symbol] = symbols_.first_of(text.substr(begin));
      const auto index = static_cast<uint32_t>(symbols.size());
      symbols.push_back({begin, length, index == 0 ? kNoSymbol : index - 1, index + 1, is_symbol});
      begin += length;
    }
    if (!symbols.empty()) symbols.back().next = kNoSymbol;
    return symbols;
  }

  void offer(Work& work, uint32_t left, uint32_t right) const {
    if (left == kNoSymbol || right == kNoSymbol) return;
    const Symbol& a = work.symbols[left];
    const Symbol& b = work.symbols[right];
    if (a.frozen || b.frozen) return;
    const int32_t id = pieces().find_textual(work.text.substr(a.begin, a.length + b.length));
    if (id < 0) return;
    work.queue.push({pieces().score(id), left, right, a.length + b.length});
    if (pieces().type(id) == PieceType::unused) work.left_parts[id] = a.length;
  }

  void merge(Work& work) const {
    while (!work.queue.empty()) {
      const Candidate best = work.queue.top();
      work.queue.pop();
      Symbol& left = work.symbols[best.left];
      Symbol& right = work.symbols[best.right];
      if (left.length == 0 || right.length == 0 || left.length + right.length != best.length) {
        continue;
      }
      left.length = best.length;
      left.next = right.next;
      if (right.next != kNoSymbol) work.symbols[right.next].previous = best.left;
      right.length = 0;
      offer(work, left.previous, best.left);
      offer(work, best.left, left.next);
    }
  }

  // A symbol that ended as an unused piece is taken apart again.
  void append(const Work& work, const Symbol& symbol, std::vector<ModelToken>& tokens,
              bool& after_unknown) const {
    std::vector<std::pair<uint32_t, uint32_t>> parts = {{symbol.begin, symbol.length}};
    while (!parts.empty()) {
      const auto [begin, length] = parts.back();
      parts.pop_back();
      const auto known = pieces().vocabulary().find(work.text.substr(begin, length));
      const int32_t id = known.value_or(pieces().unknown_id());
      const auto left = known && pieces().type(id) == PieceType::unused ? work.left_parts.find(id)
                                                                        : work.left_parts.end();
      if (left == work.left_parts.end()) {
        pieces().append(work.text, id, begin, begin + length, tokens, after_unknown);
        continue;
      }
      parts.emplace_back(begin + left->second, length - left->second);
      parts.emplace_back(begin, left->second);
    }
  }

  UserSymbols symbols_;
};

}  // namespace

std::unique_ptr<const Model> make_sentencepiece_bpe(const SentencePieceFile& file) {
  return std::make_unique<SentencePieceBpe>(file);
}

}  // namespace tercel::text
