#include <unordered_map>

#include "src/passes/match.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

// The target of a Reshape in constants: a number where the size is known, 0 where it is that of the
// input's dimension, and -1 only where the model itself left one open.
std::optional<std::vector<int64_t>> constant_target(const ir::Node& reshape,
                                                    const ops::Facts& facts) {
  const ir::Dims* from = dims_of(reshape.input(0), facts);
  const ir::Dims* to = dims_of(reshape.output(), facts);
  const ops::Contents* written = facts.contents(reshape.input(1));
  if (from == nullptr || to == nullptr || written == nullptr || written->size() != to->size())
    return std::nullopt;
  std::vector<int64_t> target;
  for (std::size_t i = 0; i < to->size(); ++i) {
    const ir::Dim& dim = (*to)[i];
    const ops::Known& element = (*written)[i];
    if (dim.known() && dim.value() > 0)
      target.push_back(dim.value());
    else if (i < from->size() && dim.equals((*from)[i]))
      target.push_back(0);
    else if (element.is_number() && element.number() == -1)
      target.push_back(-1);
    else
      return std::nullopt;
  }
  return target;
}

bool simplify_reshape(ir::Node& reshape, const ops::Facts& facts) {
  const auto target = constant_target(reshape, facts);
  if (!target) return false;
  const bool zero_is_zero = reshape.int_or("allowzero", 0) != 0;
  if (!zero_is_zero && ints_of(reshape.input(1)) == target) return false;
  reshape.remove_attribute("allowzero");
  reshape.set_input(1, ir::Builder(reshape.graph()).ints(*target));
  return true;
}

// Where the graph's inputs give the size that a symbol names.
class Sizes {
 public:
  Sizes(ir::Graph& graph, const ops::Facts& facts)
      : graph_(graph), first_(graph.nodes().empty() ? nullptr : graph.nodes().front().get()) {
    for (ir::Value* input : graph.inputs()) {
      const ir::Dims* dims = dims_of(input, facts);
      for (std::size_t i = 0; dims != nullptr && i < dims->size(); ++i) {
        if ((*dims)[i].symbolic())
          sources_.emplace((*dims)[i].symbol(), Source{input, static_cast<int64_t>(i)});
      }
    }
  }

  bool has(const std::string& symbol) const { return sources_.contains(symbol); }

  // `node` is the plainest way to the size already.
  bool is_plain(const ir::Node& node, const std::string& symbol) const {
    if (node.is("Squeeze")) {
      const ir::Node* shape = made_by(node.input(0), "Shape");
      return shape != nullptr && is_plain(*shape, symbol);
    }
    if (!node.is("Shape")) return false;
    const Source& source = sources_.at(symbol);
    return node.input(0) == source.input && node.int_or("start", 0) == source.axis;
  }

  // As a vector of one element, or as a scalar; made once, before all other nodes.
  ir::Value* get(const std::string& symbol, bool scalar) {
    ir::Value*& value = made_[scalar ? "()" + symbol : symbol];
    if (value != nullptr) return value;
    ir::Builder b(graph_, first_);
    if (scalar) {
      ir::Value* vector = get(symbol, false);
      value = b.op("Squeeze", {vector, b.ints({0})});
      value->type = ir::Type::tensor(Dtype::i64, {});
      return value;
    }
    const Source& source = sources_.at(symbol);
    value = b.op("Shape", {source.input}, {{"start", source.axis}, {"end", source.axis + 1}});
    value->type = ir::Type::tensor(Dtype::i64, {1});
    return value;
  }

 private:
  struct Source {
    ir::Value* input;
    int64_t axis;
  };
  ir::Graph& graph_;
  ir::Node* first_;  // of the nodes that were there before
  std::unordered_map<std::string, Source> sources_;
  std::unordered_map<std::string, ir::Value*> made_;
};

bool simplify_size(ir::Node& node, const ops::Facts& facts, Sizes& sizes) {
  ir::Value* output = node.output();
  if (node.num_outputs() != 1 || output == nullptr || output->uses().empty()) return false;
  const ops::Contents* contents = facts.contents(output);
  const ir::Dims* dims = dims_of(output, facts);
  if (contents == nullptr || contents->size() != 1 || dims == nullptr || dims->size() > 1 ||
      dtype_of(output, facts) != Dtype::i64) {
    return false;
  }
  const std::string& symbol = contents->front().symbol();
  if (!sizes.has(symbol) || sizes.is_plain(node, symbol)) return false;
  return forward(output, sizes.get(symbol, dims->empty()));
}

}  // namespace

bool simplify_shapes(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (node->is("Reshape")) changed |= simplify_reshape(*node, *facts);
    }
  });
  Sizes sizes(model.graph, *facts);
  std::vector<ir::Node*> nodes;
  for (const auto& node : model.graph.nodes()) nodes.push_back(node.get());
  for (ir::Node* node : nodes) changed |= simplify_size(*node, *facts, sizes);
  return changed;
}

}  // namespace tercel::passes
