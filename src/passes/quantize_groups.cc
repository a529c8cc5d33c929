#include "src/passes/quantize_groups.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "src/base/packed.h"
#include "src/passes/constant_weight.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

struct Groups {
  Tensor values;  // i4, [K, N]
  Tensor scale;   // f32, [K / kQuantizedGroup, N]
};

// -8 … 7: the element farthest from zero is -8 times the scale, so that no step is left unused.
template <class T>
std::optional<Groups> groups_of(const T* from, const ConstantWeight& weight) {
  const int64_t k = weight.k();
  const int64_t n = weight.n();
  const int64_t k_stride = weight.transposed ? 1 : n;
  const int64_t n_stride = weight.transposed ? k : 1;
  Groups result{Tensor(Dtype::i4, {k, n}),
                Tensor(Dtype::f32, {(k + kQuantizedGroup - 1) / kQuantizedGroup, n})};
  auto* scales = static_cast<float*>(result.scale.data());
  for (int64_t first = 0; first < k; first += kQuantizedGroup) {
    const int64_t last = std::min(first + kQuantizedGroup, k);
    for (int64_t j = 0; j < n; ++j) {
      float farthest = 0;
      for (int64_t i = first; i < last; ++i) {
        const float value = widened(from[i * k_stride + j * n_stride]);
        if (!(std::abs(value) <= std::numeric_limits<float>::max())) return std::nullopt;
        if (std::abs(value) > std::abs(farthest)) farthest = value;
      }
      const float scale = farthest / -8;
      const float inverse = farthest == 0 ? 0 : -8 / farthest;
      *scales++ = scale;
      for (int64_t i = first; i < last; ++i) {
        const float value = widened(from[i * k_stride + j * n_stride]) * inverse;
        const float q = std::clamp(std::nearbyint(value), -8.0F, 7.0F);
        set_packed_element(result.values.data(), i * n + j, 4,
                           static_cast<uint8_t>(static_cast<int>(q)));
      }
    }
  }
  return result;
}

class GroupQuantizing {
 public:
  explicit GroupQuantizing(ir::Model& model) : model_(model), facts_(infer_facts(model)) {}

  bool run() {
    std::vector<ir::Node*> nodes;
    for (const auto& node : model_.graph.nodes()) nodes.push_back(node.get());
    for (ir::Node* node : nodes) quantize(*node);
    return !done_.empty();
  }

 private:
  void quantize(ir::Node& node) {
    const auto weight = constant_weight(node);
    if (!weight || dtype_of(node.output(), facts_) != Dtype::f32) return;
    ir::Builder b(node.graph(), &node);
    ir::Value* dequantized = dequantized_of(*weight, b);
    if (dequantized == nullptr) return;
    if (node.is("Gemm")) node.set_attribute("transB", int64_t{0});
    node.set_input(1, dequantized);
  }

  // Two products by one weight share what it becomes.
  ir::Value* dequantized_of(const ConstantWeight& weight, ir::Builder& b) {
    const auto [found, added] =
        done_.emplace(std::pair{weight.constant, weight.transposed}, nullptr);
    if (!added) return found->second;
    const Tensor& stored = weight.constant->initializer();
    auto groups =
        with_elements(stored, [&](const auto* elements) { return groups_of(elements, weight); });
    if (!groups) return nullptr;
    const std::string name = weight.constant->name();
    ir::Value* values = b.constant(std::move(groups->values), name + "_int4");
    ir::Value* scale = b.constant(std::move(groups->scale), name + "_scale");
    found->second = b.op("DequantizeLinear", {values, scale},
                         {{"axis", int64_t{0}}, {"block_size", kQuantizedGroup}});
    return found->second;
  }

  ir::Model& model_;
  ops::Facts facts_;
  std::map<std::pair<ir::Value*, bool>, ir::Value*> done_;
};

}  // namespace

void quantize_groups(ir::Model& model) {
  if (!GroupQuantizing(model).run()) return;
  eliminate_dead(model, {});
  ops::infer_types(model);
}

}  // namespace tercel::passes
