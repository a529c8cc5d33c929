#include "src/session/samples.h"

#include <map>
#include <optional>
#include <random>
#include <set>

#include "src/base/half.h"
#include "src/session/info.h"

namespace tercel {
namespace {

constexpr int kSamples = 3;
constexpr int64_t kBatch = 2;
constexpr std::size_t kFarthest = 64;  // values looked at from an input on

// How many rows the smallest table has that the value's elements are looked up in.
std::optional<int64_t> table_rows(const ir::Value* input) {
  std::optional<int64_t> rows;
  std::vector<const ir::Value*> waiting{input};
  std::set<const ir::Value*> seen;
  while (!waiting.empty() && seen.size() < kFarthest) {
    const ir::Value* value = waiting.back();
    waiting.pop_back();
    if (!seen.insert(value).second) continue;
    for (const auto& use : value->uses()) {
      const ir::Node& node = *use.node;
      const bool looks_up = node.is("Gather") && node.input(1) == value;
      const ir::Value* table = looks_up ? node.input(0) : nullptr;
      if (looks_up && table->is_constant() && table->initializer().rank() > 0) {
        const int64_t own = table->initializer().shape()[0];
        rows = rows ? std::min(*rows, own) : own;
      } else if (!looks_up && node.num_outputs() == 1 && node.input(0) == value &&
                 (node.is("Gather") || node.is("Reshape") || node.is("Cast") ||
                  node.is("Unsqueeze") || node.is("Squeeze") || node.is("Identity"))) {
        waiting.push_back(node.output());
      }
    }
  }
  return rows;
}

class Maker {
 public:
  explicit Maker(int64_t length) : length_(length) {}

  std::optional<Tensor> make(const ir::Value& input) {
    const ir::Type& type = input.type;
    if (type.kind != ir::Type::Kind::tensor || !type.dims) return std::nullopt;
    Shape shape;
    for (const ir::Dim& dim : *type.dims) shape.push_back(size_of(dim, shape.empty()));
    Tensor tensor(type.dtype, shape);
    switch (type.dtype) {
      case Dtype::f32:
        for (float& value : tensor.values<float>()) value = normal_(random_);
        return tensor;
      case Dtype::i64:
        fill(tensor.values<int64_t>(), table_rows(&input));
        return tensor;
      case Dtype::i32:
        fill(tensor.values<int32_t>(), table_rows(&input));
        return tensor;
      case Dtype::boolean:
        std::fill_n(tensor.values<bool>().begin(), tensor.size(), true);
        return tensor;
      default:
        return std::nullopt;
    }
  }

 private:
  int64_t size_of(const ir::Dim& dim, bool first) {
    if (dim.known()) return dim.value();
    const int64_t size = first ? kBatch : length_;
    return sizes_.emplace(ir::to_string(dim), size).first->second;
  }

  template <class Values>
  void fill(Values values, std::optional<int64_t> rows) {
    using T = typename Values::value_type;
    std::uniform_int_distribution<int64_t> row(0, std::max<int64_t>(1, rows.value_or(1)) - 1);
    for (auto& value : values) value = rows ? static_cast<T>(row(random_)) : T{1};
  }

  int64_t length_;
  std::mt19937 random_{20260704};
  std::normal_distribution<float> normal_;
  std::map<std::string, int64_t> sizes_;
};

}  // namespace

std::vector<NamedTensors> make_samples(std::span<ir::Value* const> inputs, int64_t length) {
  Maker maker(length);
  std::vector<NamedTensors> samples(kSamples);
  for (NamedTensors& sample : samples) {
    for (const ir::Value* input : inputs) {
      auto tensor = maker.make(*input);
      if (!tensor && may_be_missing(*input)) continue;
      if (!tensor) return {};
      sample.emplace(input->name(), std::move(*tensor));
    }
  }
  return samples;
}

}  // namespace tercel
