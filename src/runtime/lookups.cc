#include "src/runtime/lookups.h"

#include "src/runtime/epilogue.h"

namespace tercel::runtime {
namespace {

class Finder {
 public:
  Finder(const ir::Graph& graph, const ops::Facts& facts) : graph_(graph), facts_(facts) {}

  std::vector<LookupGroup> find() {
    std::vector<LookupGroup> groups;
    for (const auto& node : graph_.nodes()) {
      const ir::Value* sum = node->num_inputs() > 0 ? node->input(0) : nullptr;
      if (sum == nullptr || !norm_of(*node, sum, facts_)) continue;
      group_ = {};
      sum_ = sum;
      if (!add_terms(sum) || group_.inputs.empty()) continue;
      group_.nodes.push_back(node.get());
      groups.push_back(std::move(group_));
    }
    return groups;
  }

 private:
  // The node that makes the value, if nothing else reads it.
  static const ir::Node* maker(const ir::Value* value) {
    const bool alone = value->uses().size() == 1 && !value->is_graph_output();
    return alone ? value->producer() : nullptr;
  }

  bool add_terms(const ir::Value* value) {
    if (is_row(value)) {
      const Tensor& row = value->initializer();
      group_.lookups.push_back({.table = row.reshape({1, row.size()}), .index = -1});
      return true;
    }
    const ir::Node* node = maker(value);
    if (node == nullptr) return false;
    if (!node->is("Add")) return add_lookup(*node);
    const bool added = add_terms(node->input(0)) && add_terms(node->input(1));
    group_.nodes.push_back(node);
    return added;
  }

  bool add_lookup(const ir::Node& node) {
    if (widens(node)) {
      const ir::Node* from = maker(node.input(0));
      if (from == nullptr || !add_lookup(*from)) return false;
      group_.nodes.push_back(&node);
      return true;
    }
    ops::Lookup lookup;
    if (!node.is("Gather") || node.int_or("axis", 0) != 0 || !repeats(node.output())) return false;
    if (!is_table(node.input(0)) && !(is_place(node.input(1)) && takes_first_rows(node.input(0))))
      return false;
    lookup.table = table_->initializer();
    add_indices(node, lookup);
    group_.lookups.push_back(std::move(lookup));
    group_.nodes.push_back(&node);
    return is_index(node.input(1));
  }

  // Where the indices are themselves picked from others, as for packed rows.
  void add_indices(const ir::Node& gather, ops::Lookup& lookup) {
    const ir::Node* picks = maker(gather.input(1));
    const bool picked = picks != nullptr && picks->is("Gather") && picks->int_or("axis", 0) == 0 &&
                        is_index(picks->input(0)) && is_index(picks->input(1)) &&
                        facts_.type(picks->input(0))->rank() == 1;
    lookup.index = add_input(picked ? *picks : gather, picked ? 0 : 1);
    if (!picked) return;
    lookup.pick = add_input(*picks, 1);
    group_.nodes.push_back(picks);
  }

  int add_input(const ir::Node& node, int index) {
    const ir::Value* value = node.input(index);
    for (std::size_t i = 0; i < group_.inputs.size(); ++i) {
      const auto& [other, at] = group_.inputs[i];
      if (other->input(at) == value) return static_cast<int>(i);
    }
    group_.inputs.emplace_back(&node, index);
    return static_cast<int>(group_.inputs.size()) - 1;
  }

  // Whether the value is broadcast to the sum by being repeated as a whole, if at all.
  bool repeats(const ir::Value* value) const {
    const ir::Type* own = facts_.type(value);
    const ir::Type* all = facts_.type(sum_);
    if (own == nullptr || all == nullptr || !own->dims || !all->dims) return false;
    if (own->rank() > all->rank() || !own->dims->back().equals(all->dims->back())) return false;
    bool whole = true;  // so far, from the last dimension on
    for (int back = 1; back <= all->rank(); ++back) {
      const ir::Dim dim = back <= own->rank() ? own->dims->end()[-back] : ir::Dim(1);
      const bool same = dim.equals(all->dims->end()[-back]);
      if (!same && !dim.equals(ir::Dim(1))) return false;
      if (same && !whole && !dim.equals(ir::Dim(1))) return false;
      whole = whole && same;
    }
    return true;
  }

  // A constant that is added to each row.
  bool is_row(const ir::Value* value) const {
    if (!value->is_constant() || value->initializer().rank() == 0) return false;
    const Tensor& tensor = value->initializer();
    const ir::Type* all = facts_.type(sum_);
    return is_floating_point(tensor.dtype()) && tensor.size() == tensor.shape().back() &&
           all != nullptr && all->dims && !all->dims->empty() &&
           all->dims->back().equals(tensor.size());
  }

  bool is_table(const ir::Value* value) {
    table_ = value;
    return value->is_constant() && value->initializer().rank() == 2 &&
           is_floating_point(value->initializer().dtype());
  }

  // The first rows of a table, of a number that is known at run time alone.
  bool takes_first_rows(const ir::Value* value) {
    const ir::Node* node = maker(value);
    if (node == nullptr) return false;
    const bool slice = node->is("Slice") && is_number(node->input(1), 0) &&
                       is_number(node->input(3), 0) && is_number(node->input(4), 1);
    const bool found = slice           ? is_table(node->input(0))
                       : widens(*node) ? takes_first_rows(node->input(0))
                                       : false;
    group_.nodes.push_back(node);
    return found;
  }

  // The place of a row in its sequence, which is less than the sequence's length.
  static bool is_place(const ir::Value* value) {
    const ir::Node* node = value->producer();
    return node != nullptr && node->domain() == "tercel" && node->op_type() == "PackedRows" &&
           value == node->output(kPlaces);
  }

  // Absent: the default, which is `number` for a Slice's axes and steps.
  static bool is_number(const ir::Value* value, int64_t number) {
    if (value == nullptr) return true;
    if (!value->is_constant() || value->initializer().dtype() != Dtype::i64) return false;
    const Tensor& tensor = value->initializer();
    return tensor.size() == 1 && tensor.values<int64_t>()[0] == number;
  }

  bool widens(const ir::Node& node) const {
    if (!node.is("Cast")) return false;
    const ir::Type* from = facts_.type(node.input(0));
    const ir::Type* to = facts_.type(node.output());
    return from != nullptr && to != nullptr && is_floating_point(from->dtype) &&
           to->dtype == Dtype::f32 && bits_of(from->dtype) <= 32;
  }

  bool is_index(const ir::Value* value) const {
    const ir::Type* type = facts_.type(value);
    return type != nullptr && type->dtype == Dtype::i64 && type->dims;
  }

  static constexpr int kPlaces = 2;  // the output of PackedRows

  const ir::Graph& graph_;
  const ops::Facts& facts_;
  LookupGroup group_;
  const ir::Value* sum_ = nullptr;    // that is normalised
  const ir::Value* table_ = nullptr;  // that was found last
};

}  // namespace

std::vector<LookupGroup> find_lookups(const ir::Graph& graph, const ops::Facts& facts) {
  return Finder(graph, facts).find();
}

}  // namespace tercel::runtime
