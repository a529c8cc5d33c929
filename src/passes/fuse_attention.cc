#include <cmath>
#include <cstring>

#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

using Perm = std::vector<int64_t>;

// A value below which a score no longer counts: exporters fill with -inf or the type's lowest.
constexpr double kMasked = -1e30;

// scale · Transpose(root): what scaling and transposing made of a value of rank 4.
struct Traced {
  ir::Value* root;
  Perm perm{0, 1, 2, 3};
  double scale = 1;
};

Traced trace(ir::Value* value, const ops::Facts& facts) {
  constexpr int kLongestChain = 32;
  Traced traced{value};
  for (int i = 0; i < kLongestChain; ++i) {
    if (const auto inner = scaled(traced.root, facts)) {
      traced.scale *= inner->factor;
      traced.root = inner->x;
      continue;
    }
    const ir::Node* transpose = made_by(traced.root, "Transpose");
    const auto perm = transpose != nullptr ? perm_of(*transpose, facts) : std::nullopt;
    if (!perm || perm->size() != 4) return traced;
    Perm composed;
    for (const int64_t axis : traced.perm)
      composed.push_back((*perm)[static_cast<std::size_t>(axis)]);
    traced.perm = composed;
    traced.root = transpose->input(0);
  }
  return traced;
}

// One mask: a value to add to the scores, or the choice between them and a fill.
struct Mask {
  ir::Value* added = nullptr;
  ir::Value* condition = nullptr;  // with `fill`
  ir::Value* fill = nullptr;
  bool fill_when_true = true;
  const ir::Value* shape_of() const { return added != nullptr ? added : condition; }
};

struct Core {
  ir::Node* scores = nullptr;  // MatMul(Q, Kᵀ)
  ir::Node* output = nullptr;  // MatMul(probabilities, V)
  std::vector<Mask> masks;
  double scale = 1;
};

// The scores' MatMul below masks and scales; null when the value is something else.
bool leads_to_scores(const ir::Value* value, const ops::Facts& facts, int depth) {
  if (made_by(value, "MatMul") != nullptr) return true;
  if (depth == 0) return false;
  if (const auto inner = scaled(value, facts)) return leads_to_scores(inner->x, facts, depth - 1);
  if (const ir::Node* add = made_by(value, "Add")) {
    return leads_to_scores(add->input(0), facts, depth - 1) ||
           leads_to_scores(add->input(1), facts, depth - 1);
  }
  const ir::Node* where = made_by(value, "Where");
  return where != nullptr && (leads_to_scores(where->input(1), facts, depth - 1) ||
                              leads_to_scores(where->input(2), facts, depth - 1));
}

constexpr int kMaxMasks = 3;

// Takes one mask off `value`: what is below it, or null.
ir::Value* take_mask(const ir::Value* value, const ops::Facts& facts, std::vector<Mask>& masks) {
  if (const ir::Node* add = made_by(value, "Add")) {
    for (const int at : {0, 1}) {
      if (!leads_to_scores(add->input(at), facts, kMaxMasks)) continue;
      masks.push_back({add->input(1 - at)});
      return add->input(at);
    }
  }
  if (const ir::Node* where = made_by(value, "Where")) {
    for (const int at : {1, 2}) {
      const auto fill = scalar_of(where->input(at));
      if (!fill || *fill > kMasked) continue;
      masks.push_back({nullptr, where->input(0), where->input(at), at == 1});
      return where->input(3 - at);
    }
  }
  return nullptr;
}

// Softmax over the keys, also behind a guard that turns rows of NaN, which see no key, into zeros:
// Attention gives zeros for them itself.
ir::Node* softmax_of(const ir::Node& output, const ops::Facts& facts) {
  ir::Value* probabilities = output.input(0);
  if (!used_once(probabilities)) return nullptr;
  std::size_t uses = 1;
  if (const ir::Node* guard = made_by(probabilities, "Where")) {
    const ir::Node* is_nan = made_by(guard->input(0), "IsNaN");
    if (is_nan == nullptr || is_nan->input(0) != guard->input(2) ||
        scalar_of(guard->input(1)) != 0.0) {
      return nullptr;
    }
    probabilities = guard->input(2);
    uses = 2;
  }
  ir::Node* softmax = made_by(probabilities, "Softmax");
  if (softmax == nullptr || probabilities->uses().size() != uses ||
      probabilities->is_graph_output()) {
    return nullptr;
  }
  const ir::Dims* dims = dims_of(probabilities, facts);
  const int64_t axis = softmax->int_or("axis", -1);
  return dims != nullptr && dims->size() == 4 && (axis == -1 || axis == 3) ? softmax : nullptr;
}

std::optional<Core> match_core(ir::Node& output, const ops::Facts& facts) {
  const ir::Node* softmax = softmax_of(output, facts);
  if (softmax == nullptr) return std::nullopt;
  Core core;
  core.output = &output;
  const ir::Value* value = softmax->input(0);
  while (true) {
    if (!used_once(value)) return std::nullopt;
    if (ir::Node* scores = made_by(value, "MatMul")) {
      core.scores = scores;
      return core;
    }
    if (const auto inner = scaled(value, facts)) {
      core.scale *= inner->factor;
      value = inner->x;
      continue;
    }
    // A scale outside a mask would have to scale the mask as well.
    if (core.scale != 1 || core.masks.size() == kMaxMasks) return std::nullopt;
    value = take_mask(value, facts, core.masks);
    if (value == nullptr) return std::nullopt;
  }
}

// Broadcasts to the scores without making them larger; over the keys it must have them all, because
// a shorter mask hides the rest.
bool broadcasts(const ir::Dims& mask, const ir::Dims& scores, bool whole_rows) {
  if (mask.size() > scores.size() || mask.empty()) return mask.empty() && !whole_rows;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    const ir::Dim& dim = mask[mask.size() - 1 - i];
    const bool equal = dim.equals(scores[scores.size() - 1 - i]);
    const bool one = dim.known() && dim.value() == 1;
    if (!equal && (!one || (i == 0 && whole_rows))) return false;
  }
  return true;
}

bool masks_fit(const Core& core, const ops::Facts& facts) {
  const ir::Dims* scores = dims_of(core.scores->output(), facts);
  if (scores == nullptr) return false;
  const Dtype dtype = dtype_of(core.scores->output(), facts);
  bool whole_rows = false;
  for (const Mask& mask : core.masks) {
    const ir::Dims* dims = dims_of(mask.shape_of(), facts);
    if (dims == nullptr || !broadcasts(*dims, *scores, false)) return false;
    if (mask.added != nullptr && dtype_of(mask.added, facts) != dtype) return false;
    whole_rows |= dims->size() >= 2 && broadcasts(*dims, *scores, true);
  }
  return whole_rows || core.masks.empty();
}

// Q [b, n, s, d], Kᵀ [b, n, d, t] and V [b, n, t, e]: nothing is broadcast.
bool shapes_fit(const Core& core, const ops::Facts& facts) {
  const ir::Dims* q = dims_of(core.scores->input(0), facts);
  const ir::Dims* k = dims_of(core.scores->input(1), facts);
  const ir::Dims* v = dims_of(core.output->input(1), facts);
  if (q == nullptr || k == nullptr || v == nullptr) return false;
  if (q->size() != 4 || k->size() != 4 || v->size() != 4) return false;
  for (const std::size_t axis : {0, 1}) {
    if (!(*q)[axis].equals((*k)[axis]) || !(*q)[axis].equals((*v)[axis])) return false;
  }
  const Dtype dtype = dtype_of(core.scores->output(), facts);
  return dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16;
}

ir::Value* transposed(ir::Builder& b, const Traced& traced, bool swap_last) {
  Perm perm = traced.perm;
  if (swap_last) std::swap(perm[2], perm[3]);
  return is_identity(perm) ? traced.root : b.transpose(traced.root, perm);
}

ir::Value* additive(ir::Builder& b, const Mask& mask, Dtype dtype) {
  if (mask.added != nullptr) return mask.added;
  Tensor nothing(dtype, {});
  std::memset(nothing.data(), 0, nothing.bytes());
  ir::Value* zero = b.constant(std::move(nothing));
  return mask.fill_when_true ? b.op("Where", {mask.condition, mask.fill, zero})
                             : b.op("Where", {mask.condition, zero, mask.fill});
}

bool fuse_product(ir::Node& node, const ops::Facts& facts) {
  auto core = match_core(node, facts);
  if (!core || !shapes_fit(*core, facts) || !masks_fit(*core, facts)) return false;
  const Traced q = trace(core->scores->input(0), facts);
  const Traced k = trace(core->scores->input(1), facts);
  const double scale = core->scale * q.scale * k.scale;
  if (!(scale > 0) || !std::isfinite(scale)) return false;

  ir::Builder b(node.graph(), &node);
  const Dtype dtype = dtype_of(core->scores->output(), facts);
  ir::Value* mask = nullptr;
  for (const Mask& part : core->masks) {
    ir::Value* next = additive(b, part, dtype);
    mask = mask != nullptr ? b.add(mask, next) : next;
  }
  take_over(
      node.output(),
      b.op("Attention", {transposed(b, q, false), transposed(b, k, true), node.input(1), mask},
           {{"scale", static_cast<float>(scale)}}));
  return true;
}

}  // namespace

bool fuse_attention(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (node->is("MatMul")) changed |= fuse_product(*node, *facts);
    }
  });
  return changed;
}

}  // namespace tercel::passes
