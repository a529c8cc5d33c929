// Counts n-grams of a pool in rows of tokens. The n-grams are a trie. The weights are in the order
// of the n-grams, as the specification and ONNX Runtime have it (ONNX's reference reads them in the
// order of the output's columns).

#include <algorithm>
#include <unordered_map>

#include "src/ops/cpu_text.h"
#include "src/ops/cpu_util.h"
#include "src/ops/strings/strings_cpu.h"

namespace tercel::ops {
namespace {

using Ints = std::vector<int64_t>;

constexpr uint32_t kNone = UINT32_MAX;

// The n-grams of the pool whose length counts; a token is its number among the different ones.
class Grams {
 public:
  void add(const uint32_t* tokens, int64_t length, int64_t gram) {
    uint32_t node = 0;
    for (int64_t i = 0; i < length; ++i) {
      const auto [next, fresh] =
          next_.try_emplace(key(node, tokens[i]), static_cast<uint32_t>(grams_.size()));
      if (fresh) grams_.push_back(-1);
      node = next->second;
    }
    grams_[node] = gram;
  }
  // kNone where no n-gram goes on with the token.
  uint32_t step(uint32_t node, uint32_t token) const {
    const auto found = next_.find(key(node, token));
    return found != next_.end() ? found->second : kNone;
  }
  int64_t gram(uint32_t node) const { return grams_[node]; }  // -1: none ends here

 private:
  static uint64_t key(uint32_t node, uint32_t token) { return uint64_t{node} << 32U | token; }
  std::unordered_map<uint64_t, uint32_t> next_;
  Ints grams_{-1};
};

// Numbers for the different tokens of the pool.
template <class T>
class Numbers {
 public:
  uint32_t add(const T& token) {
    return known_.try_emplace(token, static_cast<uint32_t>(known_.size())).first->second;
  }
  uint32_t find(const T& token) const {
    const auto found = known_.find(token);
    return found != known_.end() ? found->second : kNone;
  }

 private:
  std::unordered_map<T, uint32_t> known_;
};

template <class T>
std::vector<T> list_of_tf_idf_vectorizer(const ir::Node& node, std::string_view name) {
  const ir::Attribute* attribute = node.find_attribute(name);
  return attribute != nullptr ? std::get<std::vector<T>>(attribute->data) : std::vector<T>();
}

class TfIdfKernel final : public TextKernel {
 public:
  explicit TfIdfKernel(const KernelContext& context)
      : label_(context.node.label()),
        shortest_(context.node.int_or("min_gram_length", 0)),
        longest_(context.node.int_or("max_gram_length", 0)),
        skips_(context.node.int_or("max_skip_count", 0)),
        columns_(context.node.ints_or("ngram_indexes", {})),
        weights_(list_of_tf_idf_vectorizer<float>(context.node, "weights")) {
    const std::string mode = context.node.string_or("mode", "");
    counts_ = mode != "IDF";
    if (mode == "TF") weights_.clear();
    if (!weights_.empty() && weights_.size() != columns_.size())
      reject(fmt::format("has {} weights; expected one for each of {} n-grams", weights_.size(),
                         columns_.size()));
    std::vector<uint32_t> pool;
    for (const auto& token : list_of_tf_idf_vectorizer<std::string>(context.node, "pool_strings"))
      pool.push_back(strings_.add(token));
    for (const int64_t token : list_of_tf_idf_vectorizer<int64_t>(context.node, "pool_int64s"))
      pool.push_back(integers_.add(token));
    add_grams(context.node, pool);
  }

  void run(const KernelRun& run) const override {
    const Tensor& x = run.inputs[0];
    Tensor& y = run.outputs[0];
    const int64_t columns = y.shape().back();
    const int64_t rows = x.rank() == 2 ? x.shape()[0] : 1;
    const std::vector<uint32_t> tokens = tokens_of(x);
    const int64_t length = rows > 0 ? static_cast<int64_t>(tokens.size()) / rows : 0;
    float* to = elements<float>(y);
    std::fill_n(to, y.size(), 0.0F);
    for (int64_t row = 0; row < rows; ++row, to += columns) {
      const auto* from = tokens.data() + row * length;
      count({from, static_cast<std::size_t>(length)}, to, run.limits);
    }
  }

 private:
  [[noreturn]] void reject(std::string_view what) const {
    fail(Errc::invalid_file, "{} {}", label_, what);
  }

  // ngram_counts says where in the pool the n-grams of each length begin.
  void add_grams(const ir::Node& node, const std::vector<uint32_t>& pool) {
    Ints begins = node.ints_or("ngram_counts", {});
    if (shortest_ < 1 || longest_ < shortest_ || skips_ < 0 ||
        longest_ > static_cast<int64_t>(begins.size()))
      reject(
          "expected 1 ≤ min_gram_length ≤ max_gram_length ≤ size of ngram_counts, and a "
          "max_skip_count that is not negative");
    begins.push_back(static_cast<int64_t>(pool.size()));
    if (begins.front() < 0 || !std::is_sorted(begins.begin(), begins.end()))
      reject("ngram_counts: expected places in the pool, in rising order");
    std::size_t gram = 0;
    for (int64_t length = 1; length < static_cast<int64_t>(begins.size()); ++length) {
      const int64_t end = begins[static_cast<std::size_t>(length)];
      for (int64_t at = begins[static_cast<std::size_t>(length) - 1]; at + length <= end;
           at += length, ++gram) {
        if (gram >= columns_.size()) reject("ngram_indexes: expected one for each n-gram");
        if (length >= shortest_ && length <= longest_)
          grams_.add(pool.data() + at, length, static_cast<int64_t>(gram));
      }
    }
    if (gram != columns_.size()) reject("ngram_indexes: expected one for each n-gram");
  }

  std::vector<uint32_t> tokens_of(const Tensor& x) const {
    std::vector<uint32_t> tokens;
    tokens.reserve(static_cast<std::size_t>(x.size()));
    if (x.dtype() == Dtype::string) {
      for (const std::string& token : x.strings()) tokens.push_back(strings_.find(token));
    } else {
      for (const int64_t token : integer_values(x)) tokens.push_back(integers_.find(token));
    }
    return tokens;
  }

  // N-grams whose tokens are next to each other, then with one between each two, and so on. Single
  // tokens count the first time only.
  void count(std::span<const uint32_t> row, float* columns, const RunLimits& limits) const {
    constexpr int64_t kBetweenChecks = 1 << 16;
    const auto length = static_cast<int64_t>(row.size());
    int64_t shortest = shortest_;
    for (int64_t step = 1; step - 1 <= skips_; ++step) {
      limits.check();
      if (shortest > 1 && step > (length - 1) / (shortest - 1)) return;
      for (int64_t begin = 0; begin + step * (shortest - 1) < length; ++begin) {
        if (begin % kBetweenChecks == kBetweenChecks - 1) limits.check();
        count_from(row.subspan(static_cast<std::size_t>(begin)), step, shortest, columns);
      }
      if (shortest == 1 && ++shortest > longest_) return;
    }
  }

  void count_from(std::span<const uint32_t> row, int64_t step, int64_t shortest,
                  float* columns) const {
    uint32_t node = 0;
    std::size_t at = 0;
    for (int64_t length = 1; length <= longest_ && at < row.size(); ++length) {
      node = grams_.step(node, row[at]);
      if (node == kNone) return;
      if (length >= shortest && grams_.gram(node) >= 0)
        found(static_cast<std::size_t>(grams_.gram(node)), columns);
      at += static_cast<std::size_t>(step);
    }
  }

  void found(std::size_t gram, float* columns) const {
    const float weight = weights_.empty() ? 1 : weights_[gram];
    float& column = columns[columns_[gram]];
    column = counts_ ? column + weight : weight;
  }

  std::string label_;
  int64_t shortest_;
  int64_t longest_;
  int64_t skips_;
  Ints columns_;  // of each n-gram
  std::vector<float> weights_;
  bool counts_ = true;  // else: whether it is there at all
  Numbers<std::string> strings_;
  Numbers<int64_t> integers_;
  Grams grams_;
};

}  // namespace

const CpuImplementation kTfIdfVectorizerCpu[1] = {
    {"tf_idf", refuse_nothing, create_kernel<TfIdfKernel>}};

}  // namespace tercel::ops
