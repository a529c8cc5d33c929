#include "src/passes/elements.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "src/passes/match.h"

namespace tercel::passes {
namespace {

using Kind = Element::Kind;

constexpr int kMaxElementDepth = 64;
constexpr int kMaxWeight = 256;
constexpr std::array<std::string_view, 16> kOperators{
    "Abs",         "Add", "And", "Cast", "Equal", "Greater", "GreaterOrEqual", "Identity", "Less",
    "LessOrEqual", "Mul", "Neg", "Not",  "Or",    "Sub",     "Where"};

ElementRef number(double value) {
  return std::make_shared<Element>(Element{Kind::number, value, {}, nullptr, {}, {}});
}

ElementRef make_op(std::string op, std::vector<ElementRef> args) {
  Element element{Kind::op, 0, std::move(op), nullptr, {}, std::move(args)};
  for (const ElementRef& arg : element.args) element.weight += arg->weight;
  return std::make_shared<Element>(std::move(element));
}

// The expression with each axis replaced by what `axis_of` gives for it; null when it gives
// something that is no coordinate where one is needed.
ElementRef substituted(const ElementRef& element, const std::function<ElementRef(int)>& axis_of) {
  if (element->kind == Kind::number || element->kind == Kind::size) return element;
  if (element->kind == Kind::coordinate) return axis_of(element->axes[0]);
  Element copy = *element;
  for (int& axis : copy.axes) {
    if (axis < 0) continue;
    const ElementRef to = axis_of(axis);
    if (to == nullptr || to->kind != Kind::coordinate) return nullptr;
    axis = to->axes[0];
  }
  for (ElementRef& arg : copy.args) {
    arg = substituted(arg, axis_of);
    if (arg == nullptr) return nullptr;
  }
  return std::make_shared<Element>(std::move(copy));
}

ElementRef coordinate(int axis) {
  return std::make_shared<Element>(Element{Kind::coordinate, 0, {}, nullptr, {axis}, {}});
}

ElementRef with_axes(const ElementRef& element, const std::function<std::optional<int>(int)>& map) {
  if (element == nullptr) return nullptr;
  return substituted(element, [&](int axis) -> ElementRef {
    const auto to = map(axis);
    return to ? coordinate(*to) : nullptr;
  });
}

bool is_one(const ir::Dim& dim) { return dim.known() && dim.value() == 1; }

// Where the axes of `from` are in `to`, when the two differ in axes of one element alone.
std::optional<std::vector<int>> squeezed_axes(const ir::Dims& from, const ir::Dims& to) {
  std::vector<int> places(from.size(), -1);
  std::size_t at = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (is_one(from[i])) continue;
    while (at < to.size() && is_one(to[at])) ++at;
    if (at == to.size() || !from[i].equals(to[at])) return std::nullopt;
    places[from.size() - 1 - i] = static_cast<int>(to.size() - 1 - at++);
  }
  while (at < to.size() && is_one(to[at])) ++at;
  return at == to.size() ? std::optional(places) : std::nullopt;
}

}  // namespace

ElementRef Elements::of(const ir::Value* value) { return find(value, kMaxElementDepth); }

ElementRef Elements::find(const ir::Value* value, int depth) {
  if (value == nullptr) return nullptr;
  if (const auto known = known_.find(value); known != known_.end()) return known->second;
  ElementRef found = depth > 0 ? derive(value, depth - 1) : nullptr;
  if (found == nullptr || found->weight > kMaxWeight) found = opaque(value);
  return known_[value] = found;
}

ElementRef Elements::opaque(const ir::Value* value) const {
  const ir::Dims* dims = dims_of(value, facts_);
  if (dims == nullptr) return nullptr;
  Element element{Kind::value, 0, {}, value, {}, {}};
  for (std::size_t i = 0; i < dims->size(); ++i)
    element.axes.push_back(is_one((*dims)[i]) ? -1 : static_cast<int>(dims->size() - 1 - i));
  return std::make_shared<Element>(std::move(element));
}

ElementRef Elements::derive(const ir::Value* value, int depth) {
  if (const auto constant = scalar_of(value)) return number(*constant);
  const ops::Contents* contents = facts_.contents(value);
  if (contents != nullptr && contents->size() == 1) {
    const ops::Known& only = contents->front();
    if (only.is_number()) return number(static_cast<double>(only.number()));
    if (!only.symbol().empty())
      return std::make_shared<Element>(Element{Kind::size, 0, only.symbol(), nullptr, {}, {}});
  }
  const ir::Node* node = value->producer();
  if (node == nullptr || !node->domain().empty() || value->output_index() != 0) return nullptr;
  if (node->is("Range")) {
    const bool counts = scalar_of(node->input(0)) == 0.0 && scalar_of(node->input(2)) == 1.0;
    return counts ? coordinate(0) : nullptr;
  }
  if (node->is("Expand")) return find(node->input(0), depth);
  if (node->is("Transpose")) return transposed(*node, depth);
  if (node->is("Gather")) return gathered(*node, depth);
  if (node->is("GatherND")) return gathered_nd(*node, depth);
  if (node->is("Unsqueeze") || node->is("Squeeze") || node->is("Reshape") || node->is("Flatten"))
    return moved(value, depth);
  const bool computes = std::any_of(kOperators.begin(), kOperators.end(),
                                    [&](std::string_view name) { return node->is(name); });
  return computes ? computed(*node, depth) : nullptr;
}

// Through a chain of reshapes from the first value that has the same axes.
ElementRef Elements::moved(const ir::Value* value, int depth) {
  const ir::Dims* to = dims_of(value, facts_);
  if (to == nullptr) return nullptr;
  const ir::Value* from = value;
  for (int i = 0; i < kMaxElementDepth; ++i) {
    const ir::Node* node = from->producer();
    const bool reshapes = node != nullptr && (node->is("Unsqueeze") || node->is("Squeeze") ||
                                              node->is("Reshape") || node->is("Flatten"));
    if (!reshapes) return nullptr;
    from = node->input(0);
    const ir::Dims* dims = dims_of(from, facts_);
    if (dims == nullptr) return nullptr;
    const auto places = squeezed_axes(*dims, *to);
    if (!places) continue;
    return with_axes(find(from, depth), [&](int axis) -> std::optional<int> {
      const int place = (*places)[static_cast<std::size_t>(axis)];
      return place >= 0 ? std::optional(place) : std::nullopt;
    });
  }
  return nullptr;
}

ElementRef Elements::transposed(const ir::Node& node, int depth) {
  const auto perm = perm_of(node, facts_);
  if (!perm) return nullptr;
  const auto rank = static_cast<int>(perm->size());
  return with_axes(find(node.input(0), depth), [&](int axis) -> std::optional<int> {
    const auto from = std::find(perm->begin(), perm->end(), rank - 1 - axis);
    if (from == perm->end()) return std::nullopt;
    return rank - 1 - static_cast<int>(from - perm->begin());
  });
}

namespace {

// i + j · size, as flattened coordinates are written: {i, j}.
std::optional<std::pair<ElementRef, ElementRef>> unflattened(const ElementRef& index,
                                                             const ir::Dim& size) {
  if (!index->is("Add")) return std::nullopt;
  const auto is_size = [&](const ElementRef& element) {
    return element->kind == Kind::size && ir::Dim(element->op).equals(size);
  };
  for (const std::size_t at : {0U, 1U}) {
    const ElementRef& inner = index->args[at];
    const ElementRef& product = index->args[1 - at];
    if (inner->kind != Kind::coordinate || !product->is("Mul")) continue;
    for (const std::size_t side : {0U, 1U}) {
      const ElementRef& outer = product->args[side];
      if (outer->kind == Kind::coordinate && is_size(product->args[1 - side]))
        return std::pair{inner, outer};
    }
  }
  return std::nullopt;
}

}  // namespace

// data[j, i] out of flattened data [j · i, 1, …].
ElementRef Elements::gathered(const ir::Node& node, int depth) {
  if (node.int_or("axis", 0) != 0) return nullptr;
  const ir::Node* flat = made_by(node.input(0), "Flatten");
  if (flat == nullptr) flat = made_by(node.input(0), "Reshape");
  const ElementRef index = find(node.input(1), depth);
  if (flat == nullptr || index == nullptr) return nullptr;
  const ir::Dims* data = dims_of(flat->input(0), facts_);
  const ir::Dims* flattened = dims_of(node.input(0), facts_);
  if (data == nullptr || data->size() != 2 || flattened == nullptr || flattened->empty() ||
      !std::all_of(flattened->begin() + 1, flattened->end(), is_one) ||
      !(*flattened)[0].equals(ops::mul((*data)[0], (*data)[1]))) {
    return nullptr;
  }
  const auto pair = unflattened(index, (*data)[1]);
  const ElementRef element = find(flat->input(0), depth);
  if (!pair || element == nullptr) return nullptr;
  const int shift = static_cast<int>(flattened->size()) - 1;
  return substituted(element, [&](int axis) {
    return coordinate((axis == 0 ? pair->first : pair->second)->axes[0] + shift);
  });
}

// data[i, j] with the indices put together by a Concat.
ElementRef Elements::gathered_nd(const ir::Node& node, int depth) {
  const ir::Dims* data = dims_of(node.input(0), facts_);
  const ir::Dims* indices = dims_of(node.input(1), facts_);
  const ir::Node* concat = made_by(node.input(1), "Concat");
  if (node.int_or("batch_dims", 0) != 0 || data == nullptr || indices == nullptr ||
      concat == nullptr || data->size() != static_cast<std::size_t>(concat->num_inputs())) {
    return nullptr;
  }
  const auto rank = static_cast<int64_t>(indices->size());
  const int64_t axis = concat->int_or("axis", 0);
  if (axis != -1 && axis != rank - 1) return nullptr;
  std::vector<ElementRef> places;  // by the axis of data
  for (ir::Value* input : concat->inputs()) {
    const ir::Dims* dims = dims_of(input, facts_);
    if (dims == nullptr || dims->empty() || !is_one(dims->back())) return nullptr;
    const ElementRef place = find(input, depth);
    if (place == nullptr || place->kind != Kind::coordinate || place->axes[0] < 1) return nullptr;
    places.insert(places.begin(), coordinate(place->axes[0] - 1));
  }
  const ElementRef element = find(node.input(0), depth);
  if (element == nullptr) return nullptr;
  return substituted(element, [&](int at) { return places[static_cast<std::size_t>(at)]; });
}

ElementRef Elements::computed(const ir::Node& node, int depth) {
  std::vector<ElementRef> args;
  for (const ir::Value* input : node.inputs()) {
    args.push_back(find(input, depth));
    if (args.back() == nullptr) return nullptr;
  }
  if (node.is("Identity")) return args[0];
  if (!node.is("Cast")) return make_op(node.op_type(), std::move(args));
  if (node.int_or("to", 0) == static_cast<int64_t>(Dtype::boolean))
    return make_op("Bool", std::move(args));
  // Numbers that are cut to integers are another value.
  return args[0]->kind == Kind::number && args[0]->number != std::floor(args[0]->number) ? nullptr
                                                                                         : args[0];
}

namespace {

bool is_number(const ElementRef& element, double value) {
  return element->kind == Kind::number && element->number == value;
}

double compute(const std::string& op, const std::vector<double>& x) {
  if (op == "Abs") return std::abs(x[0]);
  if (op == "Neg") return -x[0];
  if (op == "Not") return x[0] == 0 ? 1 : 0;
  if (op == "Bool") return x[0] != 0 ? 1 : 0;
  if (op == "Where") return x[0] != 0 ? x[1] : x[2];
  if (op == "Add") return x[0] + x[1];
  if (op == "Sub") return x[0] - x[1];
  if (op == "Mul") return x[0] * x[1];
  if (op == "And") return x[0] != 0 && x[1] != 0 ? 1 : 0;
  if (op == "Or") return x[0] != 0 || x[1] != 0 ? 1 : 0;
  if (op == "Equal") return x[0] == x[1] ? 1 : 0;
  if (op == "Greater") return x[0] > x[1] ? 1 : 0;
  if (op == "GreaterOrEqual") return x[0] >= x[1] ? 1 : 0;
  if (op == "Less") return x[0] < x[1] ? 1 : 0;
  return x[0] <= x[1] ? 1 : 0;  // LessOrEqual
}

bool is_boolean(const ElementRef& element) {
  return element->is("And") || element->is("Or") || element->is("Not") || element->is("Bool") ||
         element->is("Equal") || element->is("Less") || element->is("LessOrEqual") ||
         element->is("Greater") || element->is("GreaterOrEqual");
}

// What one operand decides, whatever the other is; null when it does not.
ElementRef decided(const std::string& op, const ElementRef& a, const ElementRef& b) {
  if (op == "And") return is_number(a, 0) ? a : a->kind == Kind::number ? b : nullptr;
  if (op == "Or") return is_number(a, 0) ? b : a->kind == Kind::number ? a : nullptr;
  if (op == "Mul") return is_number(a, 0) ? a : is_number(a, 1) ? b : nullptr;
  if (op != "Add" || a->kind != Kind::number) return nullptr;
  return a->number == 0 ? b : a->number <= kHiddenScore ? a : nullptr;
}

ElementRef folded(const std::string& op, const std::vector<ElementRef>& args) {
  std::vector<double> numbers;
  for (const ElementRef& arg : args) {
    if (arg->kind == Kind::number) numbers.push_back(arg->number);
  }
  if (numbers.size() == args.size()) return number(compute(op, numbers));
  if (op == "Bool" && is_boolean(args[0])) return args[0];
  if (op == "Where" && args[0]->kind == Kind::number) return args[args[0]->number != 0 ? 1 : 2];
  // Coordinates are never negative.
  if (op == "GreaterOrEqual" && args[0]->kind == Kind::coordinate &&
      args[1]->kind == Kind::number && args[1]->number <= 0) {
    return number(1);
  }
  if (args.size() != 2) return nullptr;
  if (ElementRef one = decided(op, args[0], args[1])) return one;
  return decided(op, args[1], args[0]);
}

}  // namespace

ElementRef simplified(const ElementRef& element,
                      const std::function<std::optional<double>(const Element&)>& choose) {
  if (element->kind == Kind::value) {
    const auto chosen = choose(*element);
    return chosen ? number(*chosen) : element;
  }
  if (element->kind != Kind::op) return element;
  std::vector<ElementRef> args;
  for (const ElementRef& arg : element->args) args.push_back(simplified(arg, choose));
  if (ElementRef simple = folded(element->op, args)) return simple;
  return make_op(element->op, std::move(args));
}

void for_each_value(const ElementRef& element, const std::function<void(const Element&)>& visit) {
  if (element->kind == Kind::value) visit(*element);
  for (const ElementRef& arg : element->args) for_each_value(arg, visit);
}

}  // namespace tercel::passes
