#include "src/passes/quantize_dynamic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "src/passes/constant_weight.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr const char* kDomain = "tercel";
constexpr const char* kName = "DynamicQuantizedMatMul";
constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: a sum with it is rounded to an integer
constexpr int64_t kMaxK = 65000;       // sums of 32 bits hold as many products

// Y = X · W with each row of X rounded to 255 steps between its least and its greatest value.
std::unique_ptr<ir::Function> function() {
  auto result = std::make_unique<ir::Function>();
  result->domain = kDomain;
  result->name = kName;
  result->doc = "X * W, each row of X rounded to 8 bits by a scale and a zero point of its own.";
  result->opsets[""] = ir::kOpset;
  ir::Graph& body = result->body;
  ir::Value* x = body.add_input("X", {});
  ir::Value* w = body.add_input("W", {});
  ir::Builder b(body);
  const auto constant = [&](float value) {
    return b.op("Constant", {}, {{"value", Tensor::scalar(value)}});
  };
  ir::Value* axis = b.op("Constant", {}, {{"value", Tensor::from<int64_t>({-1}, {1})}});
  ir::Value* none = constant(0);
  ir::Value* steps = constant(255);
  ir::Value* low = b.op("Min", {b.op("ReduceMin", {x, axis}), none});
  ir::Value* high = b.op("Max", {b.op("ReduceMax", {x, axis}), none});
  ir::Value* range = b.op("Max", {b.sub(high, low), constant(1e-30F)});
  ir::Value* inverse = b.div(steps, range);
  ir::Value* scale = b.div(range, steps);
  ir::Value* zero = b.op("Round", {b.mul(b.op("Neg", {low}), inverse)});
  ir::Value* shifted = b.add(b.op("Round", {b.mul(x, inverse)}), zero);
  ir::Value* rounded = b.mul(b.sub(b.op("Clip", {shifted, none, steps}), zero), scale);
  body.add_output(b.matmul(rounded, w));
  return result;
}

struct Quantized {
  Tensor values;  // i8, [K, N]
  Tensor scale;   // f32, [N]
};

// Columns that are worked on at once: where each lies one after the other, their lines stay in a
// near cache from one row to the next.
constexpr int64_t kColumns = 64;

// Nothing when an element is not finite.
template <class T>
std::optional<Quantized> quantized_of(const T* from, const ConstantWeight& weight) {
  const int64_t k = weight.k();
  const int64_t n = weight.n();
  const int64_t k_stride = weight.transposed ? 1 : n;
  const int64_t n_stride = weight.transposed ? k : 1;
  Quantized result{Tensor(Dtype::i8, {k, n}), Tensor(Dtype::f32, {n})};
  auto* to = static_cast<int8_t*>(result.values.data());
  auto* scale = static_cast<float*>(result.scale.data());
  for (int64_t first = 0; first < n; first += kColumns) {
    const int64_t count = std::min(kColumns, n - first);
    const auto at = [&](int64_t i, int64_t j) {
      return widened(from[i * k_stride + (first + j) * n_stride]);
    };
    std::array<float, kColumns> most{}, inverse{};
    bool finite = true;
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < count; ++j) {
        const float size = std::abs(at(i, j));
        finite = finite && size <= std::numeric_limits<float>::max();
        most[static_cast<std::size_t>(j)] = std::max(most[static_cast<std::size_t>(j)], size);
      }
    }
    if (!finite) return std::nullopt;
    for (int64_t j = 0; j < count; ++j) {
      scale[first + j] = std::max(most[static_cast<std::size_t>(j)], 1e-30F) / 127;
      inverse[static_cast<std::size_t>(j)] = 1 / scale[first + j];
    }
    for (int64_t i = 0; i < k; ++i) {
      for (int64_t j = 0; j < count; ++j) {
        const float q =
            std::clamp(at(i, j) * inverse[static_cast<std::size_t>(j)], -127.0F, 127.0F);
        to[i * n + first + j] = static_cast<int8_t>((q + kShift) - kShift);
      }
    }
  }
  return result;
}

class Quantizing {
 public:
  Quantizing(ir::Model& model, const std::set<std::string>& keep)
      : model_(model), keep_(keep), facts_(infer_facts(model)) {}

  std::vector<std::string> run() {
    std::vector<ir::Node*> products;
    for (const auto& node : model_.graph.nodes()) products.push_back(node.get());
    for (ir::Node* node : products) quantize(*node);
    if (!names_.empty()) add_function();
    return std::move(names_);
  }

 private:
  void quantize(ir::Node& node) {
    const auto weight = constant_weight(node);
    if (!weight || dtype_of(node.output(), facts_) != Dtype::f32) return;
    if (weight->k() > kMaxK || keep_.contains(weight->constant->name())) return;
    ir::Builder b(node.graph(), &node);
    ir::Value* dequantized = dequantized_of(*weight, b);
    if (dequantized == nullptr) return;
    ir::Value* result = b.op(kName, {node.input(0), dequantized}, {}, kDomain);
    result->type = node.output()->type;
    if (node.input(2) != nullptr) result = b.add(result, node.input(2));
    take_over(node.output(), result);
    names_.push_back(weight->constant->name());
  }

  // Two products by one weight share what it becomes.
  ir::Value* dequantized_of(const ConstantWeight& weight, ir::Builder& b) {
    const auto [found, added] = done_.emplace(std::pair{weight.constant, weight.transposed},
                                              std::pair<ir::Value*, ir::Value*>{});
    auto& [values, scale] = found->second;
    if (added) {
      auto result = with_elements(weight.constant->initializer(), [&](const auto* elements) {
        return quantized_of(elements, weight);
      });
      if (result) {
        const std::string name = weight.constant->name();
        values = b.constant(std::move(result->values), quantized_name(name));
        scale = b.constant(std::move(result->scale), name + "_scale");
      }
    }
    if (values == nullptr) return nullptr;
    return b.op("DequantizeLinear", {values, scale}, {{"axis", int64_t{1}}});
  }

  void add_function() {
    model_.opsets[kDomain] = 1;
    if (model_.find_function(kDomain, kName) == nullptr) model_.functions.push_back(function());
  }

  ir::Model& model_;
  const std::set<std::string>& keep_;
  ops::Facts facts_;
  std::map<std::pair<ir::Value*, bool>, std::pair<ir::Value*, ir::Value*>> done_;
  std::vector<std::string> names_;
};

}  // namespace

std::string quantized_name(const std::string& weight) { return weight + "_int8"; }

std::vector<std::string> quantize_dynamic(ir::Model& model, const std::set<std::string>& keep) {
  auto names = Quantizing(model, keep).run();
  if (eliminate_dead(model, {}) || !names.empty()) ops::infer_types(model);
  return names;
}

}  // namespace tercel::passes
