#include "src/passes/quantize_dynamic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "src/base/half.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr const char* kDomain = "tercel";
constexpr const char* kName = "DynamicQuantizedMatMul";
constexpr int64_t kMinElements = 1024;
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

struct Weight {
  ir::Value* constant = nullptr;
  bool transposed = false;  // what is stored is [N, K]
};

// The constant matrix behind the value.
std::optional<Weight> weight_of(ir::Value* value) {
  Weight weight;
  constexpr int kLongestChain = 4;
  for (int i = 0; value != nullptr && !value->is_constant(); ++i) {
    const ir::Node* node = value->producer();
    if (node == nullptr || i == kLongestChain) return std::nullopt;
    const auto perm =
        node->is("Transpose") ? node->ints_or("perm", {1, 0}) : std::vector<int64_t>();
    if (perm == std::vector<int64_t>{1, 0})
      weight.transposed = !weight.transposed;
    else if (!node->is("Cast"))
      return std::nullopt;
    value = node->input(0);
  }
  if (value == nullptr || value->initializer().rank() != 2) return std::nullopt;
  const Dtype dtype = value->initializer().dtype();
  if (dtype != Dtype::f32 && dtype != Dtype::f16 && dtype != Dtype::bf16) return std::nullopt;
  weight.constant = value;
  return weight;
}

struct Quantized {
  Tensor values;  // i8, [K, N]
  Tensor scale;   // f32, [N]
};

float widened(float value) { return value; }
float widened(f16 value) { return to_float(value); }
float widened(bf16 value) { return to_float(value); }

// Columns that are worked on at once: where each lies one after the other, their lines stay in a
// near cache from one row to the next.
constexpr int64_t kColumns = 64;

// Nothing when an element is not finite.
template <class T>
std::optional<Quantized> quantized_of(const T* from, int64_t k, int64_t n, bool transposed) {
  const int64_t k_stride = transposed ? 1 : n;
  const int64_t n_stride = transposed ? k : 1;
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

std::optional<Quantized> quantized(const Tensor& tensor, bool transposed) {
  const int64_t k = tensor.shape()[transposed ? 1 : 0];
  const int64_t n = tensor.shape()[transposed ? 0 : 1];
  switch (tensor.dtype()) {
    case Dtype::f16:
      return quantized_of(static_cast<const f16*>(tensor.data()), k, n, transposed);
    case Dtype::bf16:
      return quantized_of(static_cast<const bf16*>(tensor.data()), k, n, transposed);
    default:  // weight_of() gives no others
      return quantized_of(static_cast<const float*>(tensor.data()), k, n, transposed);
  }
}

// A Gemm that is a MatMul and a bias.
bool is_plain_gemm(const ir::Node& node) {
  return node.is("Gemm") && node.float_or("alpha", 1) == 1 && node.int_or("transA", 0) == 0 &&
         (node.input(2) == nullptr || node.float_or("beta", 1) == 1);
}

class Quantizing {
 public:
  Quantizing(ir::Model& model, const std::set<std::string>& keep)
      : model_(model), keep_(keep), facts_(infer_facts(model)) {}

  std::vector<std::string> run() {
    std::vector<ir::Node*> products;
    for (const auto& node : model_.graph.nodes()) {
      if (node->is("MatMul") || is_plain_gemm(*node)) products.push_back(node.get());
    }
    for (ir::Node* node : products) quantize(*node);
    if (!names_.empty()) add_function();
    return std::move(names_);
  }

 private:
  void quantize(ir::Node& node) {
    if (dtype_of(node.output(), facts_) != Dtype::f32) return;
    auto weight = weight_of(node.input(1));
    if (!weight) return;
    if (node.is("Gemm") && node.int_or("transB", 0) != 0) weight->transposed = !weight->transposed;
    const Tensor& stored = weight->constant->initializer();
    if (stored.size() < kMinElements || keep_.contains(weight->constant->name())) return;
    if (stored.shape()[weight->transposed ? 1 : 0] > kMaxK) return;
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
  ir::Value* dequantized_of(const Weight& weight, ir::Builder& b) {
    const auto [found, added] = done_.emplace(std::pair{weight.constant, weight.transposed},
                                              std::pair<ir::Value*, ir::Value*>{});
    auto& [values, scale] = found->second;
    if (added) {
      if (auto result = quantized(weight.constant->initializer(), weight.transposed)) {
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
