#include "src/session/batch_rows.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_set>

#include "src/ops/op_def.h"
#include "src/runtime/subgraph.h"

namespace tercel {
namespace {

// Where the first axis is that of rows, these may take from one row to give another, whatever
// their attributes say, or treat rows by their number.
constexpr std::array<std::string_view, 17> kMixing{"Compress",   "CumProd",
                                                   "CumSum",     "DFT",
                                                   "Einsum",     "GRU",
                                                   "GatherND",   "LSTM",
                                                   "MaxRoiPool", "MeanVarianceNormalization",
                                                   "Pad",        "RNN",
                                                   "Resize",     "ReverseSequence",
                                                   "RoiAlign",   "ScatterND",
                                                   "Trilu"};
// Of these the attribute "axis" is 0 when it is left out.
constexpr std::array<std::string_view, 4> kAlongFirst{"Gather", "GatherElements", "Scatter",
                                                      "ScatterElements"};

template <class Names>
bool is_among(const Names& names, const ir::Node& node) {
  return std::find(names.begin(), names.end(), node.op_type()) != names.end();
}

class MixingSearch {
 public:
  MixingSearch(const ir::Graph& graph, const ops::Facts& facts, const std::string& symbol)
      : graph_(graph), facts_(facts), symbol_(symbol) {}

  // The first node that may mix rows; null when there is none.
  const ir::Node* find() {
    for (const ir::Value* input : graph_.inputs())
      if (leads(*input)) rows_.insert(input);
    for (const auto& node : graph_.nodes()) {
      const ops::OpDef* def = ops::find_op(node->domain(), node->op_type());
      if (def == nullptr || !def->deterministic || numbers_rows(*node)) return node.get();
      if (!reads_rows(*node) || facts_.contents(node->output()) != nullptr) continue;
      if (mixes(*node)) return node.get();
      for (int i = 0; i < node->num_outputs(); ++i) {
        if (node->output(i) == nullptr) continue;
        if (!leads(*node->output(i))) return node.get();
        rows_.insert(node->output(i));
      }
    }
    return nullptr;
  }

 private:
  bool reads_rows(const ir::Node& node) const {
    const auto reads = node.reads();
    return std::any_of(reads.begin(), reads.end(),
                       [&](const ir::Value* value) { return rows_.contains(value); });
  }

  bool numbers_rows(const ir::Node& node) const {
    return node.is("Range") && leads(*node.output());
  }

  bool mixes(const ir::Node& node) const {
    if (runtime::runs_subgraphs(node) || is_among(kMixing, node)) return true;
    const bool data_has_rows = node.input(0) != nullptr && rows_.contains(node.input(0));
    if (!data_has_rows) return false;
    if (node.is("Slice")) return may_slice_rows(node);
    if (!has_axis(node)) return false;
    const ir::Type* type = facts_.type(node.input(0));
    const int64_t rank = type != nullptr && type->dims ? type->rank() : 0;
    const int64_t axis = node.int_or("axis", is_among(kAlongFirst, node) ? 0 : -1);
    return axis == 0 || axis == -rank;
  }

  static bool has_axis(const ir::Node& node) {
    const auto attributes = ops::find_op(node.domain(), node.op_type())->attributes;
    return std::any_of(attributes.begin(), attributes.end(),
                       [](const ops::AttributeDef& own) { return own.name == "axis"; });
  }

  bool may_slice_rows(const ir::Node& node) const {
    const ops::Contents* axes = node.input(3) != nullptr ? facts_.contents(node.input(3)) : nullptr;
    return axes == nullptr || std::any_of(axes->begin(), axes->end(), [](const ops::Known& axis) {
             return !axis.is_number() || axis.number() <= 0;
           });
  }

  // The first dimension is that of rows, or a multiple of it, row after row; and no other is.
  bool leads(const ir::Value& value) const {
    const ir::Type* type = facts_.type(&value);
    if (type == nullptr || type->kind != ir::Type::Kind::tensor || !type->dims) return false;
    const ir::Dims& dims = *type->dims;
    return !dims.empty() && has_symbol(dims[0]) &&
           std::none_of(dims.begin() + 1, dims.end(),
                        [&](const ir::Dim& dim) { return has_symbol(dim); });
  }

  // Alone, or as a factor: "2*batch", "batch*sequence".
  bool has_symbol(const ir::Dim& dim) const {
    const std::string& text = dim.symbol();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('*', begin), text.size());
      if (text.compare(begin, end - begin, symbol_) == 0) return true;
      begin = end + 1;
    }
    return false;
  }

  const ir::Graph& graph_;
  const ops::Facts& facts_;
  const std::string& symbol_;
  std::unordered_set<const ir::Value*> rows_;  // that hold something of each row
};

}  // namespace

bool has_packed_rows(const ir::Model& model) {
  const auto& metadata = model.metadata;
  return std::find(metadata.begin(), metadata.end(),
                   std::pair<std::string, std::string>("tercel.rows", "packed")) != metadata.end();
}

BatchRows::BatchRows(const ir::Model& model, const ops::Facts& facts) {
  find_inputs(model.graph);
  if (reason_.empty()) find_outputs(model.graph, facts);
  if (!reason_.empty() || has_packed_rows(model)) return;
  const ir::Node* mixing = MixingSearch(model.graph, facts, symbol_).find();
  if (mixing != nullptr) reason_ = mixing->label() + " may mix rows";
}

void BatchRows::find_inputs(const ir::Graph& graph) {
  for (const ir::Value* input : graph.inputs()) {
    inputs_.push_back(input->type);
    const bool known = input->type.kind == ir::Type::Kind::tensor && input->type.dims;
    const bool open = known && input->type.rank() > 0 && (*input->type.dims)[0].symbolic();
    if (symbol_.empty() && open) symbol_ = (*input->type.dims)[0].symbol();
    cut_.push_back(open && (*input->type.dims)[0].symbol() == symbol_);
    if (reason_.empty() && (!known || (cut_.back() && bits_of(input->type.dtype) < 8)))
      reason_ = fmt::format("input \"{}\" is {}", input->name(), ir::to_string(input->type));
  }
  if (symbol_.empty()) reason_ = "no input begins with a dimension that has a name";
  for (const ir::Value* input : graph.inputs()) {
    if (!reason_.empty()) return;
    const ir::Dims& dims = *input->type.dims;
    const bool elsewhere = std::any_of(dims.begin() + (dims.empty() ? 0 : 1), dims.end(),
                                       [&](const ir::Dim& dim) { return dim.symbol() == symbol_; });
    if (elsewhere)
      reason_ = fmt::format("input \"{}\" has {} behind another dimension", input->name(), symbol_);
  }
}

void BatchRows::find_outputs(const ir::Graph& graph, const ops::Facts& facts) {
  const auto is_of_inputs = [&](const ir::Dim& size) {
    return std::any_of(inputs_.begin(), inputs_.end(), [&](const ir::Type& input) {
      return std::find(input.dims->begin(), input.dims->end(), size) != input.dims->end();
    });
  };
  for (const ir::Value* output : graph.outputs()) {
    const ir::Type* known = facts.type(output);
    const ir::Type type = known != nullptr ? *known : ir::Type{};
    bool rows = type.kind == ir::Type::Kind::tensor && type.dims && !type.dims->empty() &&
                bits_of(type.dtype) >= 8;
    for (std::size_t i = 0; rows && i < type.dims->size(); ++i) {
      const ir::Dim& dim = (*type.dims)[i];
      rows = (dim.symbol() == symbol_) == (i == 0) &&
             (dim.known() || (dim.symbolic() && is_of_inputs(dim)));
    }
    if (!rows && reason_.empty())
      reason_ = fmt::format("output \"{}\" is {}", output->name(), ir::to_string(type));
    outputs_.push_back(type);
  }
}

int64_t BatchRows::count(const std::vector<Tensor>& inputs) const {
  const auto first = std::find(cut_.begin(), cut_.end(), true) - cut_.begin();
  return inputs[static_cast<std::size_t>(first)].shape()[0];
}

std::vector<Tensor> BatchRows::part(const std::vector<Tensor>& inputs, int64_t begin,
                                    int64_t end) const {
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    parts.push_back(cut_[i] ? inputs[i].slice(begin, end) : inputs[i]);
  return parts;
}

ir::Type BatchRows::output_type(std::size_t output, const std::vector<Tensor>& inputs) const {
  ir::Type type = outputs_[output];
  for (ir::Dim& dim : *type.dims) {
    for (std::size_t i = 0; !dim.known() && i < inputs_.size(); ++i) {
      const ir::Dims& dims = *inputs_[i].dims;
      const auto found = std::find(dims.begin(), dims.end(), dim);
      if (found != dims.end())
        dim = inputs[i].shape()[static_cast<std::size_t>(found - dims.begin())];
    }
  }
  return type;
}

}  // namespace tercel
