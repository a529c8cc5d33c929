#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr int kMaxMaskDepth = 16;

bool is_number(const ir::Value* value, bool (*holds)(double)) {
  const auto number = scalar_of(value);
  return number && holds(*number);
}

// No element is negative: positions that count upwards from 0, in any shape.
bool never_negative(const ir::Value* value, int depth = kMaxMaskDepth) {
  if (is_number(value, [](double x) { return x >= 0; })) return true;
  const ir::Node* node = value != nullptr ? value->producer() : nullptr;
  if (node == nullptr || depth == 0) return false;
  if (node->is("Range")) {
    return is_number(node->input(0), [](double x) { return x >= 0; }) &&
           is_number(node->input(2), [](double x) { return x > 0; });
  }
  const bool moves = node->is("Unsqueeze") || node->is("Squeeze") || node->is("Reshape") ||
                     node->is("Expand") || node->is("Transpose") || node->is("Cast");
  return moves && never_negative(node->input(0), depth - 1);
}

// Every element is true.
bool always_true(const ir::Value* value, int depth = kMaxMaskDepth) {
  if (scalar_of(value) == 1.0) return true;
  const ir::Node* node = value != nullptr ? value->producer() : nullptr;
  if (node == nullptr || depth == 0) return false;
  if (node->is("GreaterOrEqual")) {
    return never_negative(node->input(0)) &&
           is_number(node->input(1), [](double x) { return x <= 0; });
  }
  if (node->is("And"))
    return always_true(node->input(0), depth - 1) && always_true(node->input(1), depth - 1);
  const bool moves = node->is("Unsqueeze") || node->is("Squeeze") || node->is("Reshape") ||
                     node->is("Expand") || node->is("Cast");
  return moves && always_true(node->input(0), depth - 1);
}

class Simplifier {
 public:
  Simplifier(ir::Node& attention, const ops::Facts& facts) : attention_(attention), facts_(facts) {}

  // A mask that hides the same keys and broadcasts to the same scores; `mask` itself when it is as
  // simple as it gets.
  ir::Value* simplest(ir::Value* mask) {
    const ir::Dims* whole = dims_of(mask, facts_);
    if (whole == nullptr) return mask;
    whole_ = *whole;
    return smaller(mask, kMaxMaskDepth);
  }

 private:
  bool fits(const ir::Value* value) const {
    const ir::Dims* dims = dims_of(value, facts_);
    if (dims == nullptr || dims->size() != whole_.size() || dims->size() < 2) return false;
    for (std::size_t i = 0; i < dims->size(); ++i) {
      const bool one = (*dims)[i].known() && (*dims)[i].value() == 1 && i + 1 < dims->size();
      if (!one && !(*dims)[i].equals(whole_[i])) return false;
    }
    return true;
  }

  ir::Value* smaller(ir::Value* mask, int depth) {
    if (depth == 0) return mask;
    if (const ir::Node* expand = made_by(mask, "Expand"); expand && fits(expand->input(0)))
      return smaller(expand->input(0), depth - 1);
    if (const ir::Node* both = made_by(mask, "And")) {
      for (const int at : {0, 1}) {
        if (always_true(both->input(at)) && fits(both->input(1 - at)))
          return smaller(both->input(1 - at), depth - 1);
      }
    }
    if (const ir::Node* where = made_by(mask, "Where"))
      return smaller_choice(mask, *where, depth - 1);
    return mask;
  }

  ir::Value* smaller_choice(ir::Value* mask, const ir::Node& where, int depth) {
    if (!scalar_of(where.input(1)) || !scalar_of(where.input(2)) || !fits(where.input(0)))
      return mask;
    ir::Value* condition = smaller(where.input(0), depth);
    if (condition == where.input(0)) return mask;
    ir::Builder b(attention_.graph(), &attention_);
    return b.op("Where", {condition, where.input(1), where.input(2)});
  }

  ir::Node& attention_;
  const ops::Facts& facts_;
  ir::Dims whole_;
};

}  // namespace

bool simplify_masks(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (!node->is("Attention") || node->input(3) == nullptr) continue;
      ir::Value* mask = Simplifier(*node, *facts).simplest(node->input(3));
      if (mask == node->input(3)) continue;
      node->set_input(3, mask);
      changed = true;
    }
  });
  return changed;
}

}  // namespace tercel::passes
