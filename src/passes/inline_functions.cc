#include <unordered_set>

#include "src/base/fail.h"
#include "src/ops/op_def.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"
#include "src/passes/splice.h"

namespace tercel::passes {
namespace {

// Functions that call functions twice grow as powers of two: a small file may not fill the memory.
constexpr int64_t kMaxNodes = 1 << 18;
constexpr std::size_t kMaxDepth = 256;

const ir::Function* callee(const ir::Model& model, const ir::Node& node) {
  if (model.functions.empty() || ops::find_op(node.domain(), node.op_type()) != nullptr)
    return nullptr;
  return model.find_function(node.domain(), node.op_type(), node.overload);
}

class Inliner {
 public:
  explicit Inliner(ir::Model& model) : model_(model) {}

  bool run(ir::Graph& graph) {
    bool changed = false;
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph.nodes()) nodes.push_back(node.get());
    for (ir::Node* node : nodes) changed |= expand(node);
    return changed;
  }

 private:
  bool expand(ir::Node* node) {
    bool changed = false;
    for_each_subgraph(*node, [&](ir::Graph& inner) { changed |= run(inner); });
    const ir::Function* function = callee(model_, *node);
    if (function == nullptr) return changed;
    if (!open_.insert(function).second)
      fail(Errc::invalid_file, "{} calls itself; functions must not be recursive", node->label());
    if (open_.size() > kMaxDepth)
      fail(Errc::unsupported, "{} is a call {} functions deep", node->label(), kMaxDepth);
    expand_call(node, *function);
    open_.erase(function);
    return true;
  }

  void expand_call(ir::Node* call, const ir::Function& function) {
    const ir::Graph& body = function.body;
    count_ += static_cast<int64_t>(body.nodes().size());
    if (count_ > kMaxNodes)
      fail(Errc::invalid_file, "{} expands to more than {} nodes", call->label(), kMaxNodes);
    ValueMap map;
    for (std::size_t i = 0; i < body.inputs().size(); ++i)
      map[body.inputs()[i]] = call->input(static_cast<int>(i));

    SpliceOptions options;
    const ir::Value* first = call->output(0);
    options.scope = (call->name.empty() && first != nullptr ? first->name() : call->name) + "/";
    options.call = call;
    options.function = &function;
    const std::vector<ir::Node*> added = splice(body, call, map, options);
    for (int i = 0; i < call->num_outputs(); ++i) {
      if (ir::Value* output = call->output(i)) replace_output(output, body, i, map);
    }
    call->graph().erase(call);
    for (ir::Node* node : added) expand(node);
  }

  static void replace_output(ir::Value* output, const ir::Graph& body, int index,
                             const ValueMap& map) {
    const auto at = static_cast<std::size_t>(index);
    ir::Value* result = nullptr;
    if (at < body.outputs().size()) {
      const auto found = map.find(body.outputs()[at]);
      result = found != map.end() ? found->second : nullptr;
    }
    if (result == nullptr) {
      fail(Errc::invalid_file, "{} output {} has no value in the function's body",
           output->producer()->label(), index);
    }
    if (result->type.kind == ir::Type::Kind::unknown) result->type = output->type;
    output->graph().replace_uses(output, result);
  }

  ir::Model& model_;
  std::unordered_set<const ir::Function*> open_;
  int64_t count_ = 0;
};

}  // namespace

bool inline_functions(ir::Model& model, const PassContext&) {
  if (model.functions.empty()) return false;
  return Inliner(model).run(model.graph);
}

}  // namespace tercel::passes
