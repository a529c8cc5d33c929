#pragma once
// Tests of passes: a model in ONNX's text form goes in, another is expected to come out.

#include <string>

#include "src/ir/model.h"
#include "src/passes/passes.h"

namespace tercel::passes {

// The graph with everything that is a matter of taste taken out: constants written where they are
// used, values named by their order, attributes sorted, no node names, no types.
std::string canonical_text(const ir::Graph& graph);

// Runs `run` on the model in `text`, verifies it, and gives its canonical text; `expected` goes the
// same way without the pass. Both are the signature and body of a graph: "(float[2] x) => (…) {…}".
struct Outcome {
  std::string actual, expected;
  bool changed = false;
};
Outcome rewrite(bool (*run)(ir::Model&, const PassContext&), const std::string& text,
                const std::string& expected, const PassContext& context = {});

}  // namespace tercel::passes
