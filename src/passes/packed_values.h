#pragma once
// The table of packed values: which value over [tokens, …] stands for which over [batch, sequence,
// …], and how operands and axes of the one are those of the other.

#include <map>
#include <string>

#include "src/passes/elements.h"
#include "src/passes/match.h"

namespace tercel::passes {

// How [batch, sequence] stand in the padded value that packed rows stand for.
enum class Layout {
  none,
  tokens,  // [batch, sequence, …]  → [rows, …]
  heads,   // [batch, n, sequence, m] → [rows, n, m]
  flat,    // [batch · sequence, …] → [rows, …]
};

// The outputs of PackedRows for the mask, a graph input [batch, sequence].
struct PackedIndex {
  ir::Value* mask = nullptr;
  ir::Value* rows = nullptr;       // [tokens]: the place of each in batch · sequence
  ir::Value* offsets = nullptr;    // [batch + 1]: where each sequence begins
  ir::Value* positions = nullptr;  // [tokens]: the place of each in its sequence
  ir::Value* first = nullptr;      // [batch]: the first row of each sequence
  ir::Value* valid = nullptr;      // [batch, sequence]
};

class PackedValues {
 public:
  explicit PackedValues(ir::Model& model)
      : graph_(model.graph), facts_(infer_facts(model)), elements_(facts_) {}

  // Makes the index of real tokens, before the node `before`. The dimensions of `mask` are known.
  void add_index(ir::Value* mask, ir::Node* before);
  const PackedIndex& index() const { return index_; }

  const ops::Facts& facts() const { return facts_; }  // of the padded graph
  Elements& elements() { return elements_; }
  const ir::Dims& dims(const ir::Value* padded) const { return *dims_of(padded, facts_); }

  Layout layout_of(const ir::Value* padded) const;
  // What layout a value of these dimensions would have; none where another dimension is open.
  Layout layout_for(const ir::Dims& dims) const;
  ir::Value* packed(const ir::Value* padded) const { return packed_.at(padded).value; }

  // Records the packed output of `node`, of a layout that is given or that the padded dimensions
  // say; false where they say none.
  bool keep(const ir::Node& node, int output, ir::Value* value, Layout layout);
  bool keep(const ir::Node& node, ir::Value* value, int output = 0);
  // Uses of `from` are to become uses of `to` when the graph is packed.
  void replace(ir::Value* from, ir::Value* to) { replaced_.emplace_back(from, to); }
  // Moves what was replaced, and the names of padded values to the packed ones.
  void commit();

  // Says why the graph keeps its padding; false.
  bool refuse(const ir::Node& node, std::string_view why);
  const std::string& reason() const { return reason_; }

  ir::Value* unpacked(ir::Builder& b, const ir::Value* padded);
  // The rows of real tokens of a padded value [batch, sequence, …], which exists as it is.
  ir::Value* gathered(ir::Builder& b, ir::Value* padded);
  // An operand of an elementwise operator whose padded output has `rank` dimensions: what
  // broadcasts to the packed output as the operand does to the padded one. Null when there is no
  // such thing.
  ir::Value* operand(ir::Builder& b, ir::Value* value, std::size_t rank, Layout layout);
  ir::Value* zero(ir::Builder& b);  // a scalar, made once

 private:
  ir::Value* packed_or_null(const ir::Value* value) const;
  ir::Value* by_position(ir::Builder& b, ir::Value* value, std::size_t leading);

  struct Packed {
    ir::Value* value;
    Layout layout;
  };

  ir::Graph& graph_;
  ops::Facts facts_;
  Elements elements_;
  PackedIndex index_;
  ir::Dim batch_, length_;
  std::string reason_;
  ir::Value* zero_ = nullptr;
  std::map<const ir::Value*, Packed> packed_;
  std::map<const ir::Value*, ir::Value*> gathered_;
  std::map<std::pair<const ir::Value*, std::size_t>, ir::Value*> positioned_;
  std::vector<std::pair<ir::Value*, ir::Value*>> replaced_;
};

// An axis of a padded value as that of the packed one; nothing for batch and sequence.
std::optional<int64_t> packed_axis(int64_t axis, std::size_t rank, Layout layout);
std::optional<std::vector<int64_t>> packed_axes(const std::vector<int64_t>& axes, std::size_t rank,
                                                Layout layout);

bool all_known(const ir::Dims& dims, std::size_t from);

}  // namespace tercel::passes
