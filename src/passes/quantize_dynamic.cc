#include "src/passes/quantize_dynamic.h"

#include <algorithm>
#include <cmath>
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

std::vector<float> widened(const Tensor& tensor) {
  std::vector<float> values(static_cast<std::size_t>(tensor.size()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (tensor.dtype() == Dtype::f32)
      values[i] = static_cast<const float*>(tensor.data())[i];
    else if (tensor.dtype() == Dtype::f16)
      values[i] = to_float(static_cast<const f16*>(tensor.data())[i]);
    else
      values[i] = to_float(static_cast<const bf16*>(tensor.data())[i]);
  }
  return values;
}

struct Quantized {
  Tensor values;  // i8, [K, N]
  Tensor scale;   // f32, [N]
};

// Nothing when an element is not finite.
std::optional<Quantized> quantized(const Tensor& tensor, bool transposed) {
  const int64_t k = tensor.shape()[transposed ? 1 : 0];
  const int64_t n = tensor.shape()[transposed ? 0 : 1];
  const int64_t k_stride = transposed ? 1 : n;
  const int64_t n_stride = transposed ? k : 1;
  const std::vector<float> from = widened(tensor);
  Quantized result{Tensor(Dtype::i8, {k, n}), Tensor(Dtype::f32, {n})};
  auto* to = static_cast<int8_t*>(result.values.data());
  auto* scale = static_cast<float*>(result.scale.data());
  for (int64_t j = 0; j < n; ++j) scale[j] = 0;
  std::vector<float> inverse(static_cast<std::size_t>(n));
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const float size = std::abs(from[static_cast<std::size_t>(i * k_stride + j * n_stride)]);
      if (!std::isfinite(size)) return std::nullopt;
      scale[j] = std::max(scale[j], size);
    }
  }
  for (int64_t j = 0; j < n; ++j) {
    scale[j] = std::max(scale[j], 1e-30F) / 127;
    inverse[static_cast<std::size_t>(j)] = 1 / scale[j];
  }
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const float value = from[static_cast<std::size_t>(i * k_stride + j * n_stride)];
      const float q = std::clamp(value * inverse[static_cast<std::size_t>(j)], -127.0F, 127.0F);
      to[i * n + j] = static_cast<int8_t>((q + kShift) - kShift);
    }
  }
  return result;
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
