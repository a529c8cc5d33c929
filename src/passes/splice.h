#pragma once
// Copying the nodes of one graph into another, with values put in the place of others.

#include <unordered_map>
#include <vector>

#include "src/ir/model.h"

namespace tercel::passes {

using ValueMap = std::unordered_map<const ir::Value*, ir::Value*>;

struct SpliceOptions {
  std::string scope;               // prefix of the names of the copied nodes, unless it is long
  const ir::Node* call = nullptr;  // whose attributes references in a function resolve to …
  const ir::Function* function = nullptr;  // … and the function, for defaults
  // What names and attributes of copies may still take; null: no limit. Errc::invalid_file when it
  // is used up.
  int64_t* bytes = nullptr;
};

// Copies the initializers and nodes of `from` before `before`, which is in the target graph. `map`
// says what stands for the inputs of `from` (null: left out), and afterwards for all of its values.
// Values of graphs around `from` stay as they are. Returns the copied nodes.
std::vector<ir::Node*> splice(const ir::Graph& from, ir::Node* before, ValueMap& map,
                              const SpliceOptions& options);

}  // namespace tercel::passes
