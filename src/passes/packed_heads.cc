#include "src/passes/packed_heads.h"

#include <algorithm>
#include <array>
#include <map>

#include "src/passes/match.h"
#include "src/passes/own_functions.h"

namespace tercel::passes {
namespace {

// Operators of rows that can be told from their first dimension alone.
constexpr std::array<std::string_view, 14> kRowWise{"Add",
                                                    "Cast",
                                                    "Div",
                                                    "Gelu",
                                                    "LayerNormalization",
                                                    "MatMul",
                                                    "Mul",
                                                    "RMSNormalization",
                                                    "Relu",
                                                    "Sigmoid",
                                                    "Softplus",
                                                    "Sub",
                                                    "Swish",
                                                    "Tanh"};

class Narrower {
 public:
  explicit Narrower(ir::Graph& graph, const ops::Facts& facts) : graph_(graph), facts_(facts) {}

  bool run() {
    std::vector<ir::Node*> waiting;
    for (const auto& node : graph_.nodes()) {
      if (takes_first(*node)) waiting.push_back(node.get());
    }
    bool changed = false;
    while (!waiting.empty()) {
      ir::Node* take = waiting.back();
      waiting.pop_back();
      changed |= move_up(*take, waiting);
    }
    return changed;
  }

 private:
  static bool takes_first(const ir::Node& node) {
    if (!node.is("Gather") || node.int_or("axis", 0) != 0) return false;
    const ir::Value* index = node.input(1);
    const ir::Node* rows = index->producer();
    return rows != nullptr && rows->domain() == kOwnDomain && rows->op_type() == "PackedRows" &&
           index->output_index() == 3;
  }

  bool is_rows(const ir::Value* value, const ir::Dim& tokens) const {
    const ir::Dims* dims = dims_of(value, facts_);
    return dims != nullptr && !dims->empty() && dims->front().equals(tokens);
  }

  // f(x)[first] becomes f(x[first]).
  bool move_up(ir::Node& take, std::vector<ir::Node*>& waiting) {
    ir::Value* x = take.input(0);
    ir::Node* made = x->producer();
    const ir::Dims* dims = dims_of(x, facts_);
    const bool row_wise =
        made != nullptr && made->domain().empty() && made->num_outputs() == 1 &&
        std::find(kRowWise.begin(), kRowWise.end(), made->op_type()) != kRowWise.end();
    if (!row_wise || !used_once(x) || dims == nullptr || dims->size() < 2) return false;
    ir::Builder b(graph_, &take);
    std::vector<ir::Value*> inputs(made->inputs().begin(), made->inputs().end());
    for (ir::Value*& input : inputs) {
      if (input == nullptr || !is_rows(input, dims->front())) continue;
      const ir::Dims* own = dims_of(input, facts_);
      if (own->size() != dims->size()) return false;
      input = taken(b, input, take.input(1), waiting);
    }
    std::vector<ir::Builder::Attr> attributes;
    for (const ir::Attribute& attribute : made->attributes())
      attributes.push_back({attribute.name, attribute.data});
    ir::Value* narrow = b.op(made->op_type(), inputs, attributes);
    narrow->producer()->name = made->name;
    graph_.replace_uses(take.output(), narrow);
    // So that what was read by this node alone is now seen to be read by its narrow form alone.
    graph_.erase(&take);
    if (!x->is_graph_output() && x->uses().empty()) graph_.erase(made);
    return true;
  }

  ir::Value* taken(ir::Builder& b, ir::Value* value, ir::Value* index,
                   std::vector<ir::Node*>& waiting) {
    ir::Value*& known = taken_[value];
    if (known != nullptr) return known;
    known = b.op("Gather", {value, index});
    waiting.push_back(known->producer());
    return known;
  }

  ir::Graph& graph_;
  const ops::Facts& facts_;
  std::map<const ir::Value*, ir::Value*> taken_;
};

}  // namespace

bool narrow_heads(ir::Model& model) {
  const ops::Facts facts = infer_facts(model);
  const bool changed = Narrower(model.graph, facts).run();
  // Rows that several operators read are taken where the first of them was.
  if (changed) model.graph.sort();
  return changed;
}

}  // namespace tercel::passes
