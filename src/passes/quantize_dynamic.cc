#include "src/passes/quantize_dynamic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "src/passes/constant_weight.h"
#include "src/passes/match.h"
#include "src/passes/own_functions.h"
#include "src/passes/pass_list.h"
#include "src/passes/quantized_functions.h"

namespace tercel::passes {
namespace {

constexpr float kShift = 12582912.0F;  // 1.5 * 2^23: a sum with it is rounded to an integer
constexpr int64_t kMaxK = 65000;       // sums of 32 bits hold as many products
constexpr int64_t kMinChannels = 16;   // images of fewer are those that a model begins with

// Where element (k, n) of a matrix lies: k * k_stride + n * n_stride.
struct Strides {
  int64_t k, n;
};
struct MatrixSizes {
  int64_t k, n;
  Strides from, to;  // as it is stored, and as its bytes are
};

struct Quantized {
  Tensor values;  // i8
  Tensor scale;   // f32, [N]
};

// Columns that are worked on at once: where each lies one after the other, their lines stay in a
// near cache from one row to the next.
constexpr int64_t kColumns = 64;

// Nothing when an element is not finite.
template <class T>
std::optional<Quantized> quantized_of(const T* from, const MatrixSizes& sizes, Shape shape) {
  const int64_t k = sizes.k;
  const int64_t n = sizes.n;
  const Strides source = sizes.from;
  const Strides target = sizes.to;
  Quantized result{Tensor(Dtype::i8, std::move(shape)), Tensor(Dtype::f32, {n})};
  auto* to = static_cast<int8_t*>(result.values.data());
  auto* scale = static_cast<float*>(result.scale.data());
  for (int64_t first = 0; first < n; first += kColumns) {
    const int64_t count = std::min(kColumns, n - first);
    const auto at = [&](int64_t i, int64_t j) {
      return widened(from[i * source.k + (first + j) * source.n]);
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
        to[i * target.k + (first + j) * target.n] = static_cast<int8_t>((q + kShift) - kShift);
      }
    }
  }
  return result;
}

// Of a matrix [K, N], stored so or transposed; of a convolution's weight [N, channels, taps…],
// which stays as it is.
std::optional<Quantized> quantized(const Tensor& tensor, bool transposed) {
  Shape shape = tensor.shape();
  MatrixSizes sizes{};
  if (tensor.rank() > 2) {
    sizes = {tensor.size() / shape[0], shape[0], {}, {}};
    sizes.from = sizes.to = {1, sizes.k};
  } else {
    if (transposed) std::swap(shape[0], shape[1]);
    sizes = {shape[0], shape[1], {shape[1], 1}, {shape[1], 1}};
    if (transposed) sizes.from = {1, sizes.k};
  }
  return with_elements(tensor,
                       [&](const auto* elements) { return quantized_of(elements, sizes, shape); });
}

class Quantizing {
 public:
  Quantizing(ir::Model& model, const std::set<std::string>& keep)
      : model_(model), keep_(keep), facts_(infer_facts(model)) {}

  std::vector<std::string> run() {
    std::vector<ir::Node*> nodes;
    for (const auto& node : model_.graph.nodes()) nodes.push_back(node.get());
    for (ir::Node* node : nodes) {
      if (dtype_of(node->output(), facts_) != Dtype::f32) continue;
      quantize_product(*node);
      if (node->is("Conv") && node->int_or("group", 1) == 1) quantize_conv(*node);
    }
    if (!names_.empty()) add_quantized_functions(model_);
    return std::move(names_);
  }

 private:
  void quantize_product(ir::Node& node) {
    const auto weight = constant_weight(node);
    if (!weight || is_kept(*weight) || weight->k() > kMaxK) return;
    ir::Builder b(node.graph(), &node);
    ir::Value* dequantized = dequantized_of(*weight, 1, b);
    if (dequantized == nullptr) return;
    ir::Value* result = b.op(kDynamicMatMul, {node.input(0), dequantized}, {}, kOwnDomain);
    result->type = node.output()->type;
    if (node.input(2) != nullptr) result = b.add(result, node.input(2));
    replace(node, result, *weight);
  }

  void quantize_conv(ir::Node& node) {
    const auto weight = constant_behind(node.input(1));
    if (!weight || weight->constant->initializer().rank() < 3) return;
    const Shape& shape = weight->constant->initializer().shape();
    if (is_kept(*weight) || shape[1] < kMinChannels) return;
    const int64_t size = weight->constant->initializer().size();
    if (size < kMinQuantized || size / shape[0] > kMaxK) return;
    ir::Builder b(node.graph(), &node);
    ir::Value* dequantized = dequantized_of(*weight, 0, b);
    if (dequantized == nullptr) return;
    ir::Value* bias = node.input(2);
    if (bias == nullptr) bias = b.constant(zeros(shape[0]));
    std::vector<ir::Builder::Attr> window;
    for (const char* name : {"auto_pad", "dilations", "pads", "strides"}) {
      if (const ir::Attribute* attribute = node.find_attribute(name))
        window.push_back({name, attribute->data});
    }
    ir::Value* result =
        b.op(kDynamicConv, {node.input(0), dequantized, bias}, std::move(window), kOwnDomain);
    result->type = node.output()->type;
    replace(node, result, *weight);
  }

  bool is_kept(const ConstantWeight& weight) const {
    return keep_.contains(weight.constant->name());
  }

  void replace(ir::Node& node, ir::Value* result, const ConstantWeight& weight) {
    take_over(node.output(), result);
    names_.push_back(weight.constant->name());
  }

  static Tensor zeros(int64_t count) {
    Tensor tensor(Dtype::f32, {count});
    std::ranges::fill(tensor.values<float>(), 0.0F);
    return tensor;
  }

  // Two products by one weight share what it becomes.
  ir::Value* dequantized_of(const ConstantWeight& weight, int64_t axis, ir::Builder& b) {
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
    return b.op("DequantizeLinear", {values, scale}, {{"axis", axis}});
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
