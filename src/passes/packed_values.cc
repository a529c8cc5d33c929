#include "src/passes/packed_values.h"

#include <algorithm>
#include <set>

#include "src/passes/own_functions.h"

namespace tercel::passes {
namespace {

bool is_one(const ir::Dim& dim) { return dim.known() && dim.value() == 1; }

// Without the axes of one element up to `last`, which stand for batch and sequence (and heads).
ir::Value* trimmed(ir::Builder& b, ir::Value* value, std::size_t last, std::size_t before) {
  if (before > last) return value;
  std::vector<int64_t> axes;
  for (std::size_t axis = before; axis <= last; ++axis)
    axes.push_back(static_cast<int64_t>(axis - before));
  return b.op("Squeeze", {value, b.ints(axes)});
}

}  // namespace

void PackedValues::add_index(ir::Value* mask, ir::Node* before) {
  const ir::Dims& dims = *dims_of(mask, facts_);
  batch_ = dims[0];
  length_ = dims[1];
  ir::Builder b(graph_, before);
  const ir::Node* node = b.node("PackedRows", {mask}, 5, {}, kOwnDomain);
  index_ = {.mask = mask,
            .rows = node->output(0),
            .offsets = node->output(1),
            .positions = node->output(2),
            .first = node->output(3),
            .valid = node->output(4)};
}

Layout PackedValues::layout_of(const ir::Value* value) const {
  const auto found = packed_.find(value);
  return found != packed_.end() ? found->second.layout : Layout::none;
}

Layout PackedValues::layout_for(const ir::Dims& dims) const {
  if (dims.size() >= 2 && dims[0].equals(batch_) && dims[1].equals(length_))
    return all_known(dims, 2) ? Layout::tokens : Layout::none;
  if (dims.size() == 4 && dims[0].equals(batch_) && dims[2].equals(length_))
    return dims[1].known() && dims[3].known() ? Layout::heads : Layout::none;
  const bool flat = !dims.empty() && dims[0].equals(ops::mul(batch_, length_));
  return flat && all_known(dims, 1) ? Layout::flat : Layout::none;
}

bool PackedValues::keep(const ir::Node& node, int output, ir::Value* value, Layout layout) {
  value->producer()->name = node.name;
  packed_[node.output(output)] = {value, layout};
  return true;
}

bool PackedValues::keep(const ir::Node& node, ir::Value* value, int output) {
  const ir::Dims* dims = dims_of(node.output(output), facts_);
  const Layout layout = dims != nullptr ? layout_for(*dims) : Layout::none;
  if (layout == Layout::none) return refuse(node, "gives something else than rows of tokens");
  return keep(node, output, value, layout);
}

void PackedValues::commit() {
  for (const auto& [from, to] : replaced_) graph_.replace_uses(from, to);
  std::set<const ir::Value*> renamed;
  for (const auto& [from, entry] : packed_) {
    if (from->is_graph_output() || from->producer() == nullptr) continue;
    const std::string name = from->name();
    graph_.rename(const_cast<ir::Value*>(from), name + "_padded");
    if (renamed.insert(entry.value).second) graph_.rename(entry.value, name);
  }
}

bool PackedValues::refuse(const ir::Node& node, std::string_view why) {
  reason_ = node.label() + " " + std::string(why);
  return false;
}

ir::Value* PackedValues::unpacked(ir::Builder& b, const ir::Value* padded) {
  return b.op("UnpackedRows", {packed(padded), index_.rows, index_.valid}, {}, kOwnDomain);
}

ir::Value* PackedValues::gathered(ir::Builder& b, ir::Value* padded) {
  const auto known = gathered_.find(padded);
  if (known != gathered_.end()) return known->second;
  const ir::Dims& dims = *dims_of(padded, facts_);
  std::vector<int64_t> flat{-1};
  for (std::size_t i = 2; i < dims.size(); ++i) flat.push_back(dims[i].value());
  return gathered_[padded] = b.op("Gather", {b.reshape(padded, flat), index_.rows});
}

// The row of each token's position, of a value [sequence, …] or with ones before.
ir::Value* PackedValues::by_position(ir::Builder& b, ir::Value* value, std::size_t leading) {
  ir::Value*& made = positioned_[{value, leading}];
  if (made != nullptr) return made;
  ir::Value* table = value;
  if (leading > 0) {
    std::vector<int64_t> axes(leading);
    for (std::size_t i = 0; i < leading; ++i) axes[i] = static_cast<int64_t>(i);
    table = b.op("Squeeze", {value, b.ints(axes)});
  }
  return made = b.op("Gather", {table, index_.positions});
}

ir::Value* PackedValues::operand(ir::Builder& b, ir::Value* value, std::size_t rank,
                                 Layout layout) {
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

ir::Value* PackedValues::packed_or_null(const ir::Value* value) const {
  return value == nullptr ? nullptr : packed(value);
}

ir::Value* PackedValues::zero(ir::Builder& b) {
  if (zero_ == nullptr) zero_ = b.scalar(0);
  return zero_;
}

std::optional<int64_t> packed_axis(int64_t axis, std::size_t rank, Layout layout) {
  if (axis < 0) axis += static_cast<int64_t>(rank);
  if (layout == Layout::flat) return axis >= 1 ? std::optional(axis) : std::nullopt;
  if (layout == Layout::tokens) return axis >= 2 ? std::optional(axis - 1) : std::nullopt;
  if (axis == 1) return 1;
  return axis == 3 ? std::optional<int64_t>(2) : std::nullopt;
}

std::optional<std::vector<int64_t>> packed_axes(const std::vector<int64_t>& axes, std::size_t rank,
                                                Layout layout) {
  std::vector<int64_t> result;
  for (const int64_t axis : axes) {
    const auto own = packed_axis(axis, rank, layout);
    if (!own) return std::nullopt;
    result.push_back(*own);
  }
  return result;
}

bool all_known(const ir::Dims& dims, std::size_t from) {
  return std::all_of(dims.begin() + static_cast<std::ptrdiff_t>(from), dims.end(),
                     [](const ir::Dim& dim) { return dim.known(); });
}

}  // namespace tercel::passes
