// A padded encoder becomes one over packed rows. A second graph over [tokens, …] is built beside
// the padded one, node by node; when every node has a packed meaning, the outputs are moved to it,
// and otherwise it is left to eliminate_dead. More than 400 lines: one small function an operator.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "src/base/fail.h"
#include "src/passes/match.h"
#include "src/passes/packed_functions.h"
#include "src/passes/packed_heads.h"
#include "src/passes/padding_mask.h"
#include "src/passes/pass_list.h"

namespace tercel::passes {
namespace {

constexpr const char* kNote = "tercel.rows";

// How [batch, sequence] stand in the padded value that packed rows stand for.
enum class Layout {
  none,
  tokens,  // [batch, sequence, …]  → [rows, …]
  heads,   // [batch, n, sequence, m] → [rows, n, m]
  flat,    // [batch · sequence, …] → [rows, …]
};

constexpr std::array<std::string_view, 45> kElementwise{
    "Abs",         "Add",        "And",      "Cast",
    "Ceil",        "Clip",       "Cos",      "Div",
    "Elu",         "Equal",      "Erf",      "Exp",
    "Floor",       "Gelu",       "Greater",  "GreaterOrEqual",
    "HardSigmoid", "HardSwish",  "Identity", "IsInf",
    "IsNaN",       "LeakyRelu",  "Less",     "LessOrEqual",
    "Log",         "Max",        "Min",      "Mish",
    "Mul",         "Neg",        "Not",      "Or",
    "Pow",         "Reciprocal", "Relu",     "Selu",
    "Sigmoid",     "Sin",        "Softplus", "Sqrt",
    "Sub",         "Swish",      "Tanh",     "ThresholdedRelu",
    "Where"};

bool is_any_of(const ir::Node& node, std::span<const std::string_view> names) {
  return node.domain().empty() &&
         std::find(names.begin(), names.end(), node.op_type()) != names.end();
}

bool is_one(const ir::Dim& dim) { return dim.known() && dim.value() == 1; }

bool all_known(const ir::Dims& dims, std::size_t from) {
  return std::all_of(dims.begin() + static_cast<std::ptrdiff_t>(from), dims.end(),
                     [](const ir::Dim& dim) { return dim.known(); });
}

class Unpadder {
 public:
  explicit Unpadder(ir::Model& model)
      : model_(model), graph_(model.graph), facts_(infer_facts(model)), elements_(facts_) {}

  // What the model's metadata is to say; empty when there is nothing to unpad.
  std::string run() {
    if (!find_mask()) return reason_.empty() ? reason_ : "padded: " + reason_;
    std::vector<ir::Node*> nodes;
    for (const auto& node : graph_.nodes()) nodes.push_back(node.get());
    add_rows(nodes.front());
    for (ir::Node* node : nodes) {
      if (!visit(*node)) return "padded: " + reason_;
    }
    if (!finish_outputs()) return "padded: " + reason_;
    commit();
    return "packed";
  }

 private:
  // --- Beginning and end ---------------------------------------------------------------------

  bool find_mask() {
    for (const auto& node : graph_.nodes()) {
      if (!node->is("Attention") || node->input(3) == nullptr) continue;
      const auto mask = read_padding_mask(node->input(3), elements_, facts_, reason_);
      if (!mask) {
        reason_ = node->label() + " " + reason_;
        return false;
      }
      for (ir::Value* input : graph_.inputs()) {
        if (input == mask->input) mask_ = input;
      }
      break;
    }
    const ir::Dims* dims = mask_ != nullptr ? dims_of(mask_, facts_) : nullptr;
    if (dims == nullptr || dims->size() != 2) return false;
    batch_ = (*dims)[0];
    length_ = (*dims)[1];
    if (batch_.symbolic() && length_.symbolic()) return true;
    reason_ = fmt::format("input \"{}\" has a fixed size, {}", mask_->name(), ir::to_string(*dims));
    return false;
  }

  void add_rows(ir::Node* before) {
    ir::Builder b(graph_, before);
    ir::Node* node = b.node("PackedRows", {mask_}, 5, {}, kPackedDomain);
    rows_ = node->output(0);
    offsets_ = node->output(1);
    positions_ = node->output(2);
    first_ = node->output(3);
    valid_ = node->output(4);
  }

  bool finish_outputs() {
    for (ir::Value* output : graph_.outputs()) {
      if (layout_of(output) == Layout::none) continue;
      if (layout_of(output) != Layout::tokens)
        return refuse(*output->producer(), "is an output that is not [batch, sequence, …]");
      ir::Builder b(graph_);
      replaced_.emplace_back(output, unpacked(b, output));
    }
    if (packed_attentions_ == 0) reason_ = "no attention has tokens to pack";
    return packed_attentions_ > 0;
  }

  void commit() {
    add_packed_functions(model_);
    for (const auto& [from, to] : replaced_) graph_.replace_uses(from, to);
    for (const auto& [from, entry] : packed_) {
      if (from->is_graph_output() || from->producer() == nullptr) continue;
      const std::string name = from->name();
      graph_.rename(const_cast<ir::Value*>(from), name + "_padded");
      if (renamed_.insert(entry.value).second) graph_.rename(entry.value, name);
    }
  }

  bool refuse(const ir::Node& node, std::string_view why) {
    reason_ = node.label() + " " + std::string(why);
    return false;
  }

  // --- Values ----------------------------------------------------------------------------------

  struct Packed {
    ir::Value* value;
    Layout layout;
  };

  Layout layout_of(const ir::Value* value) const {
    const auto found = packed_.find(value);
    return found != packed_.end() ? found->second.layout : Layout::none;
  }
  ir::Value* packed(const ir::Value* value) const { return packed_.at(value).value; }

  // What layout a value of these dimensions would have; none where another dimension is open.
  Layout layout_for(const ir::Dims& dims) const {
    if (dims.size() >= 2 && dims[0].equals(batch_) && dims[1].equals(length_))
      return all_known(dims, 2) ? Layout::tokens : Layout::none;
    if (dims.size() == 4 && dims[0].equals(batch_) && dims[2].equals(length_))
      return dims[1].known() && dims[3].known() ? Layout::heads : Layout::none;
    const bool flat = !dims.empty() && dims[0].equals(ops::mul(batch_, length_));
    return flat && all_known(dims, 1) ? Layout::flat : Layout::none;
  }

  bool keep(const ir::Node& node, int output, ir::Value* value, Layout layout) {
    value->producer()->name = node.name;
    packed_[node.output(output)] = {value, layout};
    return true;
  }

  // Records the packed output of `node`, whose padded dimensions say its layout.
  bool keep(const ir::Node& node, ir::Value* value, int output = 0) {
    const ir::Dims* dims = dims_of(node.output(output), facts_);
    const Layout layout = dims != nullptr ? layout_for(*dims) : Layout::none;
    if (layout == Layout::none) return refuse(node, "gives something else than rows of tokens");
    return keep(node, output, value, layout);
  }

  ir::Value* unpacked(ir::Builder& b, const ir::Value* padded) {
    return b.op("UnpackedRows", {packed(padded), rows_, valid_}, {}, kPackedDomain);
  }

  // The rows of real tokens of a padded value [batch, sequence, …], which exists as it is.
  ir::Value* gathered(ir::Builder& b, ir::Value* padded) {
    const auto known = gathered_.find(padded);
    if (known != gathered_.end()) return known->second;
    const ir::Dims& dims = *dims_of(padded, facts_);
    std::vector<int64_t> flat{-1};
    for (std::size_t i = 2; i < dims.size(); ++i) flat.push_back(dims[i].value());
    return gathered_[padded] = b.op("Gather", {b.reshape(padded, flat), rows_});
  }

  // The row of each token's position, of a value [sequence, …] or with ones before.
  ir::Value* by_position(ir::Builder& b, ir::Value* value, std::size_t leading) {
    ir::Value*& made = positioned_[{value, leading}];
    if (made != nullptr) return made;
    ir::Value* table = value;
    if (leading > 0) {
      std::vector<int64_t> axes(leading);
      for (std::size_t i = 0; i < leading; ++i) axes[i] = static_cast<int64_t>(i);
      table = b.op("Squeeze", {value, b.ints(axes)});
    }
    return made = b.op("Gather", {table, positions_});
  }

  // An operand of an elementwise operator whose padded output has `rank` dimensions: what
  // broadcasts to the packed output as the operand does to the padded one. Null when there is no
  // such thing.
  ir::Value* operand(ir::Builder& b, ir::Value* value, std::size_t rank, Layout layout) {
    if (value == nullptr || layout_of(value) != Layout::none)
      return value == nullptr || layout_of(value) == layout ? packed_or_null(value) : nullptr;
    const ir::Dims* dims = dims_of(value, facts_);
    if (dims == nullptr || dims->size() > rank) return nullptr;
    const std::size_t before = rank - dims->size();  // axes that broadcasting puts before
    const std::size_t last = layout == Layout::tokens ? 1 : layout == Layout::heads ? 2 : 0;
    const auto at = [&](std::size_t axis) {
      return axis < before ? ir::Dim(1) : (*dims)[axis - before];
    };
    if (layout == Layout::tokens && layout_for(*dims) == layout && before == 0)
      return gathered(b, value);
    if (layout == Layout::flat)
      return at(0).known() && is_one(at(0)) ? trimmed(b, value, 0, before) : nullptr;
    if (!is_one(at(0)) || !all_known(*dims, last + 1 > before ? last + 1 - before : 0))
      return nullptr;
    if (layout == Layout::heads && !is_one(at(1))) return nullptr;
    if (is_one(at(last))) return trimmed(b, value, last, before);
    if (!at(last).equals(length_)) return nullptr;
    ir::Value* rows = by_position(b, value, last - before);
    return layout == Layout::heads ? b.unsqueeze(rows, {1}) : rows;
  }

  ir::Value* packed_or_null(const ir::Value* value) const {
    return value == nullptr ? nullptr : packed(value);
  }

  // Without the axes of one element up to `last`, which stand for batch and sequence (and heads).
  static ir::Value* trimmed(ir::Builder& b, ir::Value* value, std::size_t last,
                            std::size_t before) {
    if (before > last) return value;
    std::vector<int64_t> axes;
    for (std::size_t axis = before; axis <= last; ++axis)
      axes.push_back(static_cast<int64_t>(axis - before));
    return b.op("Squeeze", {value, b.ints(axes)});
  }

  // An axis of a padded value as that of the packed one; nothing for batch and sequence.
  std::optional<int64_t> packed_axis(int64_t axis, std::size_t rank, Layout layout) const {
    if (axis < 0) axis += static_cast<int64_t>(rank);
    if (layout == Layout::flat) return axis >= 1 ? std::optional(axis) : std::nullopt;
    if (layout == Layout::tokens) return axis >= 2 ? std::optional(axis - 1) : std::nullopt;
    if (axis == 1) return 1;
    return axis == 3 ? std::optional<int64_t>(2) : std::nullopt;
  }

  std::optional<std::vector<int64_t>> packed_axes(const std::vector<int64_t>& axes,
                                                  std::size_t rank, Layout layout) const {
    std::vector<int64_t> result;
    for (const int64_t axis : axes) {
      const auto own = packed_axis(axis, rank, layout);
      if (!own) return std::nullopt;
      result.push_back(*own);
    }
    return result;
  }

  // --- Operators -------------------------------------------------------------------------------

  bool visit(ir::Node& node) {
    bool touched = false;
    for (const ir::Value* input : node.inputs())
      touched |= input != nullptr && layout_of(input) != Layout::none;
    for_each_subgraph(node, [&](ir::Graph& inner) {
      for (const ir::Value* value : inner.captured())
        graphs_read_tokens_ |= layout_of(value) != Layout::none;
    });
    if (graphs_read_tokens_) return refuse(node, "has a graph that reads tokens");
    if (!touched) return is_lookup(node) ? look_up(node) : true;
    ir::Builder b(graph_, &node);
    if (is_any_of(node, kElementwise)) return elementwise(node, b);
    using Handler = bool (Unpadder::*)(ir::Node&, ir::Builder&);
    static constexpr std::pair<std::string_view, Handler> kHandlers[] = {
        {"Attention", &Unpadder::attention},
        {"Concat", &Unpadder::concat},
        {"Gather", &Unpadder::gather},
        {"Gemm", &Unpadder::gemm},
        {"LayerNormalization", &Unpadder::normalization},
        {"LogSoftmax", &Unpadder::normalization},
        {"MatMul", &Unpadder::matmul},
        {"RMSNormalization", &Unpadder::normalization},
        {"ReduceL2", &Unpadder::reduce},
        {"ReduceMax", &Unpadder::reduce},
        {"ReduceMean", &Unpadder::reduce},
        {"ReduceMin", &Unpadder::reduce},
        {"ReduceSum", &Unpadder::reduce},
        {"ReduceSumSquare", &Unpadder::reduce},
        {"Reshape", &Unpadder::reshape},
        {"RotaryEmbedding", &Unpadder::rotary},
        {"Slice", &Unpadder::slice},
        {"Softmax", &Unpadder::normalization},
        {"Split", &Unpadder::split},
        {"Squeeze", &Unpadder::squeeze},
        {"Transpose", &Unpadder::transpose},
        {"Unsqueeze", &Unpadder::squeeze}};
    for (const auto& [name, handler] : kHandlers) {
      if (node.is(name)) return (this->*handler)(node, b);
    }
    return refuse(node, "may mix tokens");
  }

  // An embedding: a row of a table for each token.
  bool is_lookup(const ir::Node& node) const {
    if (!node.is("Gather") || node.int_or("axis", 0) != 0) return false;
    const ir::Dims* table = dims_of(node.input(0), facts_);
    const ir::Dims* ids = dims_of(node.input(1), facts_);
    const Dtype dtype = dtype_of(node.input(0), facts_);
    return table != nullptr && table->size() == 2 && (*table)[1].known() && ids != nullptr &&
           ids->size() == 2 && layout_for(*ids) == Layout::tokens &&
           (dtype == Dtype::f32 || dtype == Dtype::f16 || dtype == Dtype::bf16);
  }

  bool look_up(ir::Node& node) {
    ir::Builder b(graph_, &node);
    return keep(node, b.op("Gather", {node.input(0), gathered(b, node.input(1))}));
  }

  static std::vector<ir::Builder::Attr> attributes_of(const ir::Node& node) {
    std::vector<ir::Builder::Attr> attributes;
    for (const ir::Attribute& attribute : node.attributes())
      attributes.push_back({attribute.name, attribute.data});
    return attributes;
  }

  const ir::Dims& dims(const ir::Value* value) const { return *dims_of(value, facts_); }

  bool elementwise(ir::Node& node, ir::Builder& b) {
    const ir::Dims* out = dims_of(node.output(), facts_);
    const Layout layout = out != nullptr ? layout_for(*out) : Layout::none;
    if (layout == Layout::none || node.num_outputs() != 1)
      return refuse(node, "gives something else than rows of tokens");
    std::vector<ir::Value*> inputs;
    for (ir::Value* input : node.inputs()) {
      if (input != nullptr && layout_of(input) != Layout::none && dims(input).size() != out->size())
        return refuse(node, "lays tokens along another axis");
      inputs.push_back(operand(b, input, out->size(), layout));
      if (input != nullptr && inputs.back() == nullptr)
        return refuse(node,
                      fmt::format("has an input that is not of tokens, \"{}\"", input->name()));
    }
    return keep(node, b.op(node.op_type(), inputs, attributes_of(node)));
  }

  bool matmul(ir::Node& node, ir::Builder& b) {
    const ir::Dims* weight = dims_of(node.input(1), facts_);
    if (layout_of(node.input(1)) != Layout::none || weight == nullptr || weight->size() != 2 ||
        !all_known(*weight, 0) || layout_of(node.input(0)) == Layout::heads ||
        dims(node.input(0)).size() < 2) {
      return refuse(node, "is a product of tokens with each other");
    }
    return keep(node, b.matmul(packed(node.input(0)), node.input(1)));
  }

  bool gemm(ir::Node& node, ir::Builder& b) {
    const ir::Dims* bias = node.input(2) != nullptr ? dims_of(node.input(2), facts_) : nullptr;
    const bool biased = node.input(2) == nullptr || (bias != nullptr && bias->size() <= 1);
    if (layout_of(node.input(0)) != Layout::flat || layout_of(node.input(1)) != Layout::none ||
        node.int_or("transA", 0) != 0 || !biased) {
      return refuse(node, "is a product of tokens with each other");
    }
    return keep(node, b.op("Gemm", {packed(node.input(0)), node.input(1), node.input(2)},
                           attributes_of(node)));
  }

  // Along the last axes alone, with the same rank before and after.
  bool normalization(ir::Node& node, ir::Builder& b) {
    const ir::Value* x = node.input(0);
    const auto axis = packed_axis(node.int_or("axis", -1), dims(x).size(), layout_of(x));
    for (int i = 1; i < node.num_inputs(); ++i) {
      if (node.input(i) != nullptr && layout_of(node.input(i)) != Layout::none)
        return refuse(node, "has tokens as its parameters");
    }
    if (!axis || node.num_outputs() != 1 || layout_of(x) == Layout::none)
      return refuse(node, "mixes tokens");
    auto attributes = attributes_of(node);
    std::erase_if(attributes, [](const auto& attribute) { return attribute.name == "axis"; });
    attributes.push_back({"axis", *axis});
    std::vector<ir::Value*> inputs(node.inputs().begin(), node.inputs().end());
    inputs[0] = packed(x);
    return keep(node, b.op(node.op_type(), inputs, attributes));
  }

  bool reduce(ir::Node& node, ir::Builder& b) {
    const ir::Value* x = node.input(0);
    const auto axes = ints_of(node.input(1));
    if (!axes || axes->empty()) return refuse(node, "mixes tokens");
    const auto own = packed_axes(*axes, dims(x).size(), layout_of(x));
    if (!own) return pool(node, b, *axes);
    return keep(node, b.op(node.op_type(), {packed(x), b.ints(*own)}, attributes_of(node)));
  }

  // Over the sequence, of what is put to something neutral where there is padding: that is done to
  // padded rows, as before.
  bool pool(ir::Node& node, ir::Builder&, const std::vector<int64_t>& axes) {
    ir::Node* masked = node.input(0)->producer();
    const bool along_tokens =
        layout_of(node.input(0)) == Layout::tokens && axes.size() == 1 &&
        (axes[0] == 1 || axes[0] + static_cast<int64_t>(dims(node.input(0)).size()) == 1);
    if (!along_tokens || masked == nullptr || !hides_padding(*masked))
      return refuse(node, "mixes tokens, padding among them");
    ir::Builder before(graph_, masked);
    for (ir::Value* input : masked->inputs()) {
      if (input != nullptr && layout_of(input) != Layout::none)
        replaced_.emplace_back(input, unpacked(before, input));
    }
    return true;
  }

  bool hides_padding(const ir::Node& node) {
    const auto is_padding_free = [&](const ir::Value* value) {
      return layout_of(value) == Layout::none &&
             is_zero_at_padding(value, mask_, elements_, facts_);
    };
    if (node.is("Mul")) return is_padding_free(node.input(0)) || is_padding_free(node.input(1));
    return node.is("Where") && is_padding_free(node.input(0)) &&
           layout_of(node.input(2)) == Layout::none;
  }

  bool concat(ir::Node& node, ir::Builder& b) {
    const Layout layout = layout_of(node.input(0));
    std::vector<ir::Value*> inputs;
    for (const ir::Value* input : node.inputs()) {
      if (layout_of(input) == Layout::none || layout_of(input) != layout)
        return refuse(node, "joins tokens and other things");
      inputs.push_back(packed(input));
    }
    const auto axis = packed_axis(node.int_or("axis", 0), dims(node.input(0)).size(), layout);
    if (!axis) return refuse(node, "mixes tokens");
    return keep(node, b.op("Concat", inputs, {{"axis", *axis}}));
  }

  bool split(ir::Node& node, ir::Builder& b) {
    const ir::Value* x = node.input(0);
    const auto axis = packed_axis(node.int_or("axis", 0), dims(x).size(), layout_of(x));
    if (!axis) return refuse(node, "mixes tokens");
    auto attributes = attributes_of(node);
    std::erase_if(attributes, [](const auto& attribute) { return attribute.name == "axis"; });
    attributes.push_back({"axis", *axis});
    const ir::Node* parts =
        b.node("Split", {packed(x), node.input(1)}, node.num_outputs(), attributes);
    for (int i = 0; i < node.num_outputs(); ++i) {
      if (node.output(i) != nullptr && !keep(node, parts->output(i), i)) return false;
    }
    return true;
  }

  // Unsqueeze and Squeeze.
  bool squeeze(ir::Node& node, ir::Builder& b) {
    const auto axes = ints_of(node.input(1));
    const ir::Dims* out = dims_of(node.output(), facts_);
    if (!axes || out == nullptr) return refuse(node, "may move tokens");
    // The axes of Unsqueeze are those of its output.
    const std::size_t rank = node.is("Squeeze") ? dims(node.input(0)).size() : out->size();
    const auto own = packed_axes(*axes, rank, layout_of(node.input(0)));
    if (!own || layout_of(node.input(0)) == Layout::heads) return refuse(node, "moves tokens");
    return keep(node, b.op(node.op_type(), {packed(node.input(0)), b.ints(*own)}));
  }

  bool reshape(ir::Node& node, ir::Builder& b) {
    const ir::Dims* out = dims_of(node.output(), facts_);
    const Layout to = out != nullptr ? layout_for(*out) : Layout::none;
    const Layout from = layout_of(node.input(0));
    if (from == Layout::heads || to == Layout::none || to == Layout::heads)
      return refuse(node, "reshapes tokens");
    std::vector<int64_t> shape{0};
    for (std::size_t i = to == Layout::tokens ? 2 : 1; i < out->size(); ++i)
      shape.push_back((*out)[i].value());
    return keep(node, b.reshape(packed(node.input(0)), shape));
  }

  // Between [batch, sequence, n, m] and [batch, n, sequence, m]: the same rows.
  bool transpose(ir::Node& node, ir::Builder& b) {
    const Layout from = layout_of(node.input(0));
    if (!swaps_heads(node) || from == Layout::flat) return refuse(node, "moves tokens");
    const Layout to = from == Layout::tokens ? Layout::heads : Layout::tokens;
    return keep(node, 0, b.op("Identity", {packed(node.input(0))}), to);
  }

  bool slice(ir::Node& node, ir::Builder& b) {
    const ir::Value* x = node.input(0);
    const auto starts = ints_of(node.input(1));
    const auto ends = ints_of(node.input(2));
    const auto axes = ints_of(node.input(3));
    if (!starts || !ends || !axes || layout_of(x) == Layout::none)
      return refuse(node, "may mix tokens");
    const auto steps = node.input(4) != nullptr ? ints_of(node.input(4)) : std::vector<int64_t>{1};
    const bool first = layout_of(x) == Layout::tokens && *axes == std::vector<int64_t>{1} &&
                       *starts == std::vector<int64_t>{0} && *ends == std::vector<int64_t>{1} &&
                       steps == std::vector<int64_t>{1};
    if (first) {
      replaced_.emplace_back(node.output(), b.unsqueeze(b.op("Gather", {packed(x), first_}), {1}));
      return true;
    }
    const auto own = packed_axes(*axes, dims(x).size(), layout_of(x));
    if (!own) return refuse(node, "takes some of the tokens");
    return keep(node, b.op("Slice",
                           {packed(x), node.input(1), node.input(2), b.ints(*own), node.input(4)}));
  }

  // The first token of each sequence, or a part of every token.
  bool gather(ir::Node& node, ir::Builder& b) {
    const ir::Value* x = node.input(0);
    if (layout_of(x) == Layout::none || layout_of(node.input(1)) != Layout::none)
      return refuse(node, "looks up by tokens");
    const int64_t axis = node.int_or("axis", 0);
    const auto own = packed_axis(axis, dims(x).size(), layout_of(x));
    if (own) {
      return keep(node, b.op("Gather", {packed(x), node.input(1)}, {{"axis", *own}}));
    }
    const auto index = ints_of(node.input(1));
    if (layout_of(x) != Layout::tokens || axis != 1 || index != std::vector<int64_t>{0})
      return refuse(node, "takes some of the tokens");
    ir::Value* first = b.op("Gather", {packed(x), first_});
    if (node.input(1)->initializer().rank() == 1) first = b.unsqueeze(first, {1});
    replaced_.emplace_back(node.output(), first);
    return true;
  }

  // Each token as a sequence of its own, with its own position: runtimes limit how long one may be.
  bool rotary(ir::Node& node, ir::Builder& b) {
    const ir::Value* x = node.input(0);
    const bool by_heads = layout_of(x) == Layout::heads;
    if (layout_of(x) == Layout::none || dims(x).size() != (by_heads ? 4U : 3U))
      return refuse(node, "rotates something else than tokens");
    auto attributes = attributes_of(node);
    ir::Value* rows = packed(x);
    if (by_heads) {
      std::erase_if(attributes, [](const auto& one) { return one.name == "num_heads"; });
      attributes.push_back({"num_heads", dims(x)[1].value()});
      rows = b.reshape(rows, {0, dims(x)[1].value() * dims(x)[3].value()});
    }
    std::vector<ir::Value*> inputs{b.unsqueeze(rows, {1}), node.input(1), node.input(2), nullptr};
    for (const int i : node.input(3) != nullptr ? std::vector{3} : std::vector{1, 2}) {
      ir::Value* own = operand(b, node.input(i), i == 3 ? 2 : 3, Layout::tokens);
      if (own == nullptr) return refuse(node, "has positions that are not of tokens");
      inputs[static_cast<std::size_t>(i)] = b.unsqueeze(own, {1});
    }
    ir::Value* rotated = b.op("RotaryEmbedding", inputs, attributes);
    rotated = by_heads ? b.reshape(rotated, {-1, dims(x)[1].value(), dims(x)[3].value()})
                       : b.op("Squeeze", {rotated, b.ints({1})});
    return keep(node, rotated);
  }

  // Rows [tokens, heads · size], and the number of heads.
  std::optional<int64_t> heads_of(const ir::Node& node, int index, const char* attribute) const {
    const ir::Value* value = node.input(index);
    if (layout_of(value) == Layout::heads) return dims(value)[1].value();
    const bool merged = layout_of(value) == Layout::tokens && dims(value).size() == 3;
    const int64_t heads = node.int_or(attribute, 0);
    return merged && heads > 0 ? std::optional(heads) : std::nullopt;
  }

  ir::Value* merged_heads(ir::Builder& b, const ir::Value* value) {
    if (layout_of(value) == Layout::tokens) return packed(value);
    const ir::Dims& own = dims(value);
    return b.reshape(packed(value), {0, own[1].value() * own[3].value()});
  }

  bool attention(ir::Node& node, ir::Builder& b) {
    for (const int i : {4, 5, 6}) {
      if (node.input(i) != nullptr) return refuse(node, "keeps what came before");
    }
    if (node.num_outputs() != 1) return refuse(node, "gives more than its result");
    if (dtype_of(node.input(0), facts_) != Dtype::f32) return refuse(node, "is not of f32");
    const auto q_heads = heads_of(node, 0, "q_num_heads");
    const auto k_heads = heads_of(node, 1, "kv_num_heads");
    const auto v_heads = heads_of(node, 2, "kv_num_heads");
    if (!q_heads || !k_heads || k_heads != v_heads)
      return refuse(node, "is not of tokens to tokens");
    if (node.input(3) == nullptr) return refuse(node, "attends to padding");
    std::string why;
    const auto mask = read_padding_mask(node.input(3), elements_, facts_, why);
    if (!mask) return refuse(node, why);
    if (mask->input != mask_) return refuse(node, "has a mask of its own");
    const ir::Dims& q = dims(node.input(0));
    const int64_t size = q.back().value() / (q.size() == 3 ? *q_heads : 1);
    const auto left = node.int_or("left_window_size", -1);
    const auto right = node.int_or("is_causal", 0) != 0 ? 0 : node.int_or("right_window_size", -1);
    const auto bound = [](int64_t own, int64_t of_mask) {
      return own < 0 ? of_mask : std::min(own, of_mask);
    };
    ir::Value* bias = mask->bias != nullptr ? const_cast<ir::Value*>(mask->bias) : no_bias(b);
    ir::Value* result =
        b.op("PackedAttention",
             {merged_heads(b, node.input(0)), merged_heads(b, node.input(1)),
              merged_heads(b, node.input(2)), offsets_, rows_, valid_, bias},
             {{"q_num_heads", *q_heads},
              {"kv_num_heads", *k_heads},
              {"scale", node.float_or("scale", 1 / std::sqrt(static_cast<float>(size)))},
              {"softcap", node.float_or("softcap", 0)},
              {"left_window", bound(left, mask->left)},
              {"right_window", bound(right, mask->right)}},
             kPackedDomain);
    ++packed_attentions_;
    if (q.size() == 3) return keep(node, result);
    const ir::Dims& v = dims(node.input(2));
    return keep(node, b.reshape(result, {0, *q_heads, v.back().value()}));
  }

  ir::Value* no_bias(ir::Builder& b) {
    if (no_bias_ == nullptr) no_bias_ = b.scalar(0);
    return no_bias_;
  }

  ir::Model& model_;
  ir::Graph& graph_;
  ops::Facts facts_;  // of the padded graph
  Elements elements_;
  std::string reason_;
  ir::Value* mask_ = nullptr;
  ir::Dim batch_, length_;
  ir::Value* rows_ = nullptr;
  ir::Value* offsets_ = nullptr;
  ir::Value* positions_ = nullptr;
  ir::Value* first_ = nullptr;
  ir::Value* valid_ = nullptr;
  ir::Value* no_bias_ = nullptr;
  int packed_attentions_ = 0;
  bool graphs_read_tokens_ = false;
  std::map<const ir::Value*, Packed> packed_;
  std::map<const ir::Value*, ir::Value*> gathered_;
  std::map<std::pair<const ir::Value*, std::size_t>, ir::Value*> positioned_;
  std::vector<std::pair<ir::Value*, ir::Value*>> replaced_;
  std::set<const ir::Value*> renamed_;
};

bool may_be_padded(const ir::Model& model) {
  const auto& nodes = model.graph.nodes();
  const bool decided = std::any_of(model.metadata.begin(), model.metadata.end(),
                                   [](const auto& entry) { return entry.first == kNote; });
  return !decided && std::any_of(nodes.begin(), nodes.end(), [](const auto& node) {
    return node->is("Attention") && node->input(3) != nullptr;
  });
}

}  // namespace

bool unpad(ir::Model& model, const PassContext& context) {
  if (!may_be_padded(model)) return false;
  const std::string note = Unpadder(model).run();
  if (note.empty()) return false;
  model.metadata.emplace_back(kNote, note);
  eliminate_dead(model, context);
  if (note != "packed") return false;
  narrow_heads(model);
  eliminate_dead(model, context);
  return true;
}

}  // namespace tercel::passes
