// For tests/python/test_opset_steps.py: what is known of the versions of operators, one a line.
//
//   op <name> <since> <compatible_since>
//   adapter <name> <below>

#include <iostream>

#include "src/ops/op_def.h"
#include "src/passes/adapters/adapters.h"

int main() {
  for (const tercel::ops::OpDef* def : tercel::ops::all_ops()) {
    if (!def->domain.empty()) continue;
    std::cout << "op " << def->name << ' ' << def->since << ' ' << def->compatible_since << '\n';
  }
  for (const auto& adapter : tercel::passes::adapters())
    std::cout << "adapter " << adapter.op_type << ' ' << adapter.below << '\n';
}
