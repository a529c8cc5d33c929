#pragma once
// Graph optimisation: passes from ONNX to ONNX, one file each, in one ordered list. After any pass
// the model can be saved and run by another runtime.
//
// What passes keep to: they replace uses and leave what is then unused to eliminate_dead (nothing
// is erased while facts about values are held); they work on the main graph and its subgraphs,
// never inside the bodies of functions; a rewrite happens only where types and shapes prove it.

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "src/ir/model.h"

namespace tercel::ops {
class Facts;
}

namespace tercel::passes {

// Runs one node on constants; undefined inputs are left out. May throw Errc::unsupported.
using Evaluator =
    std::function<std::vector<Tensor>(const ir::Node& node, const std::vector<Tensor>& inputs)>;

struct PassContext {
  Evaluator evaluate;  // empty: nothing is evaluated
  // Where facts_of() keeps what it inferred; who runs passes empties it when one changed the model.
  // Null: nothing is kept.
  std::shared_ptr<const ops::Facts>* facts = nullptr;
};

struct Pass {
  std::string_view name;
  bool (*run)(ir::Model& model, const PassContext& context);  // true when something changed
};

// The passes, in the order in which they run.
std::span<const Pass> all_passes();

// Runs the list until nothing changes (or a bounded number of rounds), verifies the model after
// each pass that changed it (Errc::internal), and writes the inferred types into the values.
void optimize(ir::Model& model, const PassContext& context);

// Only what running needs: calls of model-local functions become their bodies.
void legalize(ir::Model& model, const PassContext& context);

}  // namespace tercel::passes
