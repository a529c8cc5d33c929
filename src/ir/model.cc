#include "src/ir/model.h"

namespace tercel::ir {

const Function* Model::find_function(std::string_view function_domain, std::string_view name,
                                     std::string_view overload) const {
  for (const auto& function : functions) {
    if (function->name == name && function->domain == function_domain &&
        function->overload == overload) {
      return function.get();
    }
  }
  return nullptr;
}

}  // namespace tercel::ir
