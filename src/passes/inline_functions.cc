#include <algorithm>
#include <map>
#include <string_view>
#include <tuple>

#include "src/base/fail.h"
#include "src/ir/onnx_graph.h"
#include "src/ops/op_def.h"
#include "src/passes/match.h"
#include "src/passes/pass_list.h"
#include "src/passes/splice.h"

namespace tercel::passes {
namespace {

constexpr int kMaxCallDepth = 256;                 // of calls and the graphs that they stand in
constexpr int64_t kMaxBytes = int64_t{128} << 20;  // of the names and attributes that are copied

// What a graph is once all calls in it are expanded. A node counts once for every graph around it,
// as when a file is read.
struct Extent {
  int64_t nodes = 0;
  int64_t weighted = 0;
  int height = 0;  // of the graphs in it
};

// Functions that call functions twice grow as powers of two: what comes out is known before
// anything is copied.
class Extents {
 public:
  explicit Extents(const ir::Model& model) {
    for (const auto& function : model.functions)
      functions_.emplace(Name{function->domain, function->name, function->overload},
                         function.get());
  }

  // Null for operators of Tercel, and where there is no such function.
  const ir::Function* callee(const ir::Node& node) const {
    if (ops::find_op(node.domain(), node.op_type()) != nullptr) return nullptr;
    const auto found = functions_.find(Name{node.domain(), node.op_type(), node.overload});
    return found != functions_.end() ? found->second : nullptr;
  }

  Extent of(const ir::Graph& graph) {
    Extent all;
    add(graph, 0, all);
    return all;
  }

 private:
  using Name = std::tuple<std::string_view, std::string_view, std::string_view>;

  void add(const ir::Graph& graph, int depth, Extent& all) {
    all.height = std::max(all.height, depth);
    for (const auto& node : graph.nodes()) {
      for_each_subgraph(*node, [&](ir::Graph& inner) {
        enter(*node);
        add(inner, depth + 1, all);
        --depth_;
      });
      const ir::Function* function = callee(*node);
      const Extent one = function != nullptr ? of_function(*node, *function) : Extent{1, 1, 0};
      all.nodes += one.nodes;
      all.weighted += one.weighted + depth * one.nodes;
      all.height = std::max(all.height, depth + one.height);
      if (all.weighted > ir::kMaxNodes) {
        fail(Errc::invalid_file,
             "{} with what its functions expand to, the model has more than {} nodes",
             node->label(), ir::kMaxNodes);
      }
      if (all.height > ir::kMaxGraphDepth) {
        fail(Errc::invalid_file,
             "{} with what its functions expand to, graphs are nested more than {} deep",
             node->label(), ir::kMaxGraphDepth);
      }
    }
  }

  void enter(const ir::Node& node) {
    if (++depth_ > kMaxCallDepth)
      fail(Errc::invalid_file, "{} stands {} functions and graphs deep", node.label(),
           kMaxCallDepth);
  }

  Extent of_function(const ir::Node& call, const ir::Function& function) {
    if (const auto known = known_.find(&function); known != known_.end()) {
      if (known->second.nodes < 0)
        fail(Errc::invalid_file, "{} calls itself; functions must not be recursive", call.label());
      return known->second;
    }
    enter(call);
    known_[&function] = {-1, 0, 0};  // open
    const Extent extent = of(function.body);
    --depth_;
    return known_[&function] = extent;
  }

  std::map<Name, const ir::Function*> functions_;
  std::map<const ir::Function*, Extent> known_;
  int depth_ = 0;
};

class Inliner {
 public:
  explicit Inliner(ir::Model& model) : extents_(model) { extents_.of(model.graph); }

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
    const ir::Function* function = extents_.callee(*node);
    if (function == nullptr) return changed;
    expand_call(node, *function);
    return true;
  }

  void expand_call(ir::Node* call, const ir::Function& function) {
    const ir::Graph& body = function.body;
    ValueMap map;
    for (std::size_t i = 0; i < body.inputs().size(); ++i)
      map[body.inputs()[i]] = call->input(static_cast<int>(i));

    SpliceOptions options;
    const ir::Value* first = call->output(0);
    options.scope = (call->name.empty() && first != nullptr ? first->name() : call->name) + "/";
    options.call = call;
    options.function = &function;
    options.bytes = &bytes_;
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

  Extents extents_;
  int64_t bytes_ = kMaxBytes;
};

}  // namespace

bool inline_functions(ir::Model& model, const PassContext&) {
  if (model.functions.empty()) return false;
  return Inliner(model).run(model.graph);
}

}  // namespace tercel::passes
