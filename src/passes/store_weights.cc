#include "src/passes/store_weights.h"

#include <algorithm>
#include <cmath>

#include "src/base/fail.h"
#include "src/base/half.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr std::size_t kMinBytes = 4096;  // of the weight in f32

bool is_half(Dtype dtype) { return dtype == Dtype::f16 || dtype == Dtype::bf16; }

template <class From>
float widen(From value) {
  if constexpr (std::is_same_v<From, float>)
    return value;
  else
    return to_float(value);
}

template <class To>
To narrow(float value) {
  if constexpr (std::is_same_v<To, float>)
    return value;
  else if constexpr (std::is_same_v<To, f16>)
    return to_f16(value);
  else
    return to_bf16(value);
}

template <class From, class To>
Tensor convert(const Tensor& tensor, Dtype dtype) {
  Tensor result(dtype, tensor.shape());
  const auto* from = static_cast<const From*>(tensor.data());
  auto* to = static_cast<To*>(result.data());
  for (int64_t i = 0; i < tensor.size(); ++i) to[i] = narrow<To>(widen(from[i]));
  return result;
}

template <class From>
Tensor convert_from(const Tensor& tensor, Dtype dtype) {
  if (dtype == Dtype::f16) return convert<From, f16>(tensor, dtype);
  if (dtype == Dtype::bf16) return convert<From, bf16>(tensor, dtype);
  return convert<From, float>(tensor, dtype);
}

Tensor converted(const Tensor& tensor, Dtype dtype) {
  if (tensor.dtype() == Dtype::f16) return convert_from<f16>(tensor, dtype);
  if (tensor.dtype() == Dtype::bf16) return convert_from<bf16>(tensor, dtype);
  return convert_from<float>(tensor, dtype);
}

// Finite in f32 or bf16, infinite in f16.
template <class From>
bool overflows_f16(const Tensor& tensor) {
  constexpr float kLargest = 65520;  // rounds to infinity, as do all above
  const auto* values = static_cast<const From*>(tensor.data());
  return std::any_of(values, values + tensor.size(), [](From value) {
    const float number = widen(value);
    return std::abs(number) >= kLargest && std::isfinite(number);
  });
}

bool fits(const Tensor& tensor, Dtype dtype) {
  if (dtype != Dtype::f16) return true;
  return tensor.dtype() == Dtype::bf16 ? !overflows_f16<bf16>(tensor)
                                       : !overflows_f16<float>(tensor);
}

bool multiplies(const ir::Use& use) {
  if (use.node->is("Gemm")) return use.index < 2;
  return use.node->is("MatMul");
}

bool looks_up(const ir::Use& use) { return use.node->is("Gather") && use.index == 0; }

bool all_uses(const ir::Value* value, bool (*holds)(const ir::Use&)) {
  const auto uses = value->uses();
  return !uses.empty() && !value->is_graph_output() && std::all_of(uses.begin(), uses.end(), holds);
}

bool multiplies_transposed(const ir::Use& use) {
  if (multiplies(use)) return true;
  return use.node->is("Transpose") && all_uses(use.node->output(), multiplies);
}

// Behind a Cast and a Transpose, in either order.
bool becomes_weight(const ir::Use& use) {
  if (multiplies_transposed(use)) return true;
  const auto cast = [](const ir::Use& inner) {
    return inner.node->is("Cast") && all_uses(inner.node->output(), multiplies);
  };
  if (use.node->is("Transpose")) return all_uses(use.node->output(), cast);
  return use.node->is("Cast") && all_uses(use.node->output(), multiplies_transposed);
}

bool large(const ir::Value* value) {
  const Tensor& tensor = value->initializer();
  return tensor.rank() >= 2 && bytes_of(Dtype::f32, tensor.size()) >= kMinBytes;
}

ir::Value* stored(ir::Value* weight, Dtype dtype) {
  ir::Graph& graph = weight->graph();
  const std::string name = weight->name();
  graph.rename(weight, name + "_replaced");
  return graph.add_initializer(name, converted(weight->initializer(), dtype));
}

bool is_weight(const ir::Use& use) { return multiplies_transposed(use) || looks_up(use); }

void store_rows(ir::Node& gather, ir::Value* half) {
  ir::Builder b(gather.graph(), &gather);
  ir::Value* rows = b.op("Gather", {half, gather.input(1)}, {{"axis", gather.int_or("axis", 0)}});
  rows->producer()->name = gather.name;
  rows->type = gather.output()->type;
  rows->type.dtype = half->type.dtype;
  take_over(gather.output(), b.cast(rows, Dtype::f32));
  gather.set_input(0, nullptr);
}

// A weight may be both a table and, as the output layer's, a factor: it is stored once.
void store_weight(ir::Value* weight, Dtype dtype) {
  ir::Graph& graph = weight->graph();
  ir::Value* half = stored(weight, dtype);
  const std::vector<ir::Use> uses(weight->uses().begin(), weight->uses().end());
  for (const ir::Use& use : uses) {
    if (looks_up(use)) store_rows(*use.node, half);
  }
  if (weight->uses().empty()) return;
  ir::Value* wide = ir::Builder(graph, graph.nodes().front().get()).cast(half, Dtype::f32);
  wide->type = weight->type;
  graph.replace_uses(weight, wide);
}

class Storing {
 public:
  Storing(ir::Model& model, Dtype dtype) : model_(model), dtype_(dtype) {}

  std::vector<std::string> run() {
    for (ir::Value* value : model_.graph.initializers()) {
      if (value->is_constant() && large(value)) store(value);
    }
    return std::move(kept_);
  }

 private:
  void store(ir::Value* value) {
    const Dtype from = value->initializer().dtype();
    if (from == Dtype::f32 && all_uses(value, is_weight)) {
      if (check(value)) store_weight(value, dtype_);
    } else if (is_half(from) && from != dtype_ && all_uses(value, becomes_weight)) {
      if (check(value)) store_again(value);
    }
  }

  void store_again(ir::Value* value) {
    ir::Value* half = stored(value, dtype_);
    model_.graph.replace_uses(value, half);
    for (const ir::Use& use : half->uses()) {
      if (use.node->is("Transpose")) use.node->output()->type.dtype = dtype_;
    }
  }

  bool check(const ir::Value* value) {
    if (fits(value->initializer(), dtype_)) return true;
    kept_.push_back(value->name());
    return false;
  }

  ir::Model& model_;
  Dtype dtype_;
  std::vector<std::string> kept_;
};

bool widens(const ir::Node& node) {
  return node.is("Cast") && node.int_or("to", 0) == static_cast<int64_t>(Dtype::f32);
}

bool moves(const ir::Use& use) { return looks_up(use) || use.node->is("Transpose"); }

// What a Gather finds or a Transpose turns is f32 itself: its casts go.
void widen_rows(ir::Value* rows) {
  rows->type.dtype = Dtype::f32;
  const std::vector<ir::Use> casts(rows->uses().begin(), rows->uses().end());
  for (const ir::Use& cast : casts) forward(cast.node->output(), rows);
}

// Cast(half) → f32, Cast(Gather(half, i)) → Gather(f32, i), and the same with Transpose.
void widen_all(ir::Graph& graph) {
  const auto widened = [](const ir::Use& use) { return widens(*use.node); };
  for (ir::Value* value : graph.initializers()) {
    if (!value->is_constant() || !is_half(value->initializer().dtype())) continue;
    if (all_uses(value, widened)) {
      ir::Value* wide = stored(value, Dtype::f32);
      const std::vector<ir::Use> uses(value->uses().begin(), value->uses().end());
      for (const ir::Use& use : uses) forward(use.node->output(), wide);
    } else if (all_uses(value, moves)) {
      const bool all =
          std::all_of(value->uses().begin(), value->uses().end(),
                      [&](const auto& use) { return all_uses(use.node->output(), widened); });
      if (!all) continue;
      const std::vector<ir::Use> uses(value->uses().begin(), value->uses().end());
      graph.replace_uses(value, stored(value, Dtype::f32));
      for (const ir::Use& use : uses) widen_rows(use.node->output());
    }
  }
}

}  // namespace

std::vector<std::string> store_weights(ir::Model& model, Dtype dtype) {
  if (dtype != Dtype::f32 && !is_half(dtype)) {
    fail(Errc::invalid_argument, "weights cannot be stored as {}; expected f32, f16 or bf16",
         to_string(dtype));
  }
  std::vector<std::string> kept;
  if (dtype == Dtype::f32)
    widen_all(model.graph);
  else
    kept = Storing(model, dtype).run();
  eliminate_dead(model, {});
  return kept;
}

}  // namespace tercel::passes
