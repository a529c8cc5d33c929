#include "src/data/batching.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace tercel::data {
namespace {

class OpenBatch {
 public:
  OpenBatch(const BatchRule& rule, RowSize first) : rule_(rule), first_(first) {}

  bool takes(RowSize row) {
    if (row.group != first_.group) return false;
    if (rule_.max_rows > 0 && rows_ >= rule_.max_rows) return false;
    if (rule_.count_padding && row.length * 4 < first_.length * 3) return false;
    const int64_t with = tokens_ + (rule_.count_padding ? first_.length : row.length);
    if (rows_ > 0 && with > rule_.max_tokens) return false;
    tokens_ = with;
    ++rows_;
    return true;
  }

 private:
  const BatchRule& rule_;
  RowSize first_;
  int64_t rows_ = 0;
  int64_t tokens_ = 0;
};

}  // namespace

std::vector<std::vector<std::size_t>> batches_by_length(std::span<const RowSize> rows,
                                                        const BatchRule& rule) {
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::tuple(rows[a].group, -rows[a].length) < std::tuple(rows[b].group, -rows[b].length);
  });
  std::vector<std::vector<std::size_t>> batches;
  for (std::size_t i = 0; i < order.size();) {
    OpenBatch batch(rule, rows[order[i]]);
    auto& members = batches.emplace_back();
    while (i < order.size() && batch.takes(rows[order[i]])) members.push_back(order[i++]);
  }
  return batches;
}

}  // namespace tercel::data
