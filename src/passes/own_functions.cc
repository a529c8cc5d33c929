#include "src/passes/own_functions.h"

#include "src/ir/text.h"

namespace tercel::passes {

void add_functions(ir::Model& model, const char* text, const char* name) {
  model.opsets[kOwnDomain] = 1;
  auto parsed = ir::parse_text(text, name);
  for (auto& function : parsed->functions) {
    if (model.find_function(function->domain, function->name) == nullptr)
      model.functions.push_back(std::move(function));
  }
}

}  // namespace tercel::passes
