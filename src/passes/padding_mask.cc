#include "src/passes/padding_mask.h"

#include <algorithm>

#include "src/passes/match.h"

namespace tercel::passes {
namespace {

using Kind = Element::Kind;

// Axes of scores, [batch, heads, queries, keys].
constexpr int kKeys = 0;
constexpr int kQueries = 1;
constexpr int kBatch = 3;

bool is_coordinate(const ElementRef& element, int axis) {
  return element->kind == Kind::coordinate && element->axes[0] == axis;
}

struct Window {
  int64_t left = PaddingMask::kNoWindow;
  int64_t right = PaddingMask::kNoWindow;
};

Window common(const Window& a, const Window& b) {
  return {std::min(a.left, b.left), std::min(a.right, b.right)};
}

// `low` <= `high`.
std::optional<Window> window_of_order(const ElementRef& low, const ElementRef& high) {
  if (is_coordinate(low, kKeys) && is_coordinate(high, kQueries))
    return Window{PaddingMask::kNoWindow, 0};
  if (is_coordinate(low, kQueries) && is_coordinate(high, kKeys))
    return Window{0, PaddingMask::kNoWindow};
  if (!low->is("Abs") || high->kind != Kind::number || !low->args[0]->is("Sub"))
    return std::nullopt;
  const auto& ends = low->args[0]->args;
  const bool keys_first = is_coordinate(ends[0], kKeys) && is_coordinate(ends[1], kQueries);
  const bool queries_first = is_coordinate(ends[0], kQueries) && is_coordinate(ends[1], kKeys);
  const double most = high->number;
  if ((!keys_first && !queries_first) || !(most >= 0) || most >= PaddingMask::kNoWindow)
    return std::nullopt;
  return Window{static_cast<int64_t>(most), static_cast<int64_t>(most)};
}

std::optional<Window> window_of(const ElementRef& condition) {
  if (condition->is("And")) {
    const auto a = window_of(condition->args[0]);
    const auto b = window_of(condition->args[1]);
    return a && b ? std::optional(common(*a, *b)) : std::nullopt;
  }
  if (condition->is("LessOrEqual")) return window_of_order(condition->args[0], condition->args[1]);
  if (condition->is("GreaterOrEqual"))
    return window_of_order(condition->args[1], condition->args[0]);
  return std::nullopt;
}

// The one graph input of rank 2 that the mask depends on, by [batch, keys] or [batch, queries].
const ir::Value* input_of(const ElementRef& element) {
  const ir::Value* input = nullptr;
  bool single = true;
  for_each_value(element, [&](const Element& leaf) {
    if (!leaf.value->is_graph_input() || leaf.axes.size() != 2) return;
    const bool placed =
        leaf.axes[0] == kBatch && (leaf.axes[1] == kKeys || leaf.axes[1] == kQueries);
    single &= placed && (input == nullptr || input == leaf.value);
    input = leaf.value;
  });
  return single ? input : nullptr;
}

bool hides(const ElementRef& element, bool boolean) {
  return element->kind == Kind::number &&
         (boolean ? element->number == 0 : element->number <= kHiddenScore);
}

bool shows(const ElementRef& element, bool boolean) {
  return element->kind == Kind::number && element->number == (boolean ? 1 : 0);
}

bool same(const ElementRef& a, const ElementRef& b) {
  return a->kind == b->kind && a->number == b->number && a->op == b->op && a->value == b->value &&
         a->axes == b->axes &&
         std::equal(a->args.begin(), a->args.end(), b->args.begin(), b->args.end(), same);
}

// [1, heads or 1, length, length], the same for every batch item.
bool is_bias(const ir::Value* value, const ops::Facts& facts) {
  const ir::Dims* dims = dims_of(value, facts);
  return dims != nullptr && dims->size() == 4 && dtype_of(value, facts) == Dtype::f32 &&
         (*dims)[0].known() && (*dims)[0].value() == 1 && (*dims)[1].known() &&
         (*dims)[2].equals((*dims)[3]);
}

// The value near the mask that has these elements.
const ir::Value* bias_of(const ir::Value* mask, const ElementRef& element, Elements& elements,
                         const ops::Facts& facts) {
  constexpr int kNear = 3;
  std::vector<const ir::Value*> values{mask};
  for (int step = 0; step < kNear; ++step) {
    std::vector<const ir::Value*> next;
    for (const ir::Value* value : values) {
      if (value->producer() == nullptr) continue;
      for (const ir::Value* input : value->producer()->inputs()) {
        if (input == nullptr) continue;
        const ElementRef own = elements.of(input);
        if (is_bias(input, facts) && own != nullptr && same(own, element)) return input;
        next.push_back(input);
      }
    }
    values = std::move(next);
  }
  return nullptr;
}

}  // namespace

std::optional<PaddingMask> read_padding_mask(const ir::Value* mask, Elements& elements,
                                             const ops::Facts& facts, std::string& reason) {
  const ElementRef element = elements.of(mask);
  PaddingMask meaning;
  meaning.input = element != nullptr ? input_of(element) : nullptr;
  if (meaning.input == nullptr) {
    reason = "its mask is not made of one input [batch, sequence]";
    return std::nullopt;
  }
  const auto with = [&](double seen) {
    return simplified(element, [&](const Element& leaf) -> std::optional<double> {
      if (leaf.value != meaning.input) return std::nullopt;
      return leaf.axes[1] == kKeys ? seen : 1;
    });
  };
  const bool boolean = dtype_of(mask, facts) == Dtype::boolean;
  reason = "its mask does more than hide padding";
  if (!hides(with(0), boolean)) return std::nullopt;
  ElementRef real = with(1);
  if (shows(real, boolean)) return meaning;
  meaning.bias = boolean ? nullptr : bias_of(mask, real, elements, facts);
  if (meaning.bias != nullptr) return meaning;
  if (!boolean && real->is("Where") && shows(real->args[1], false) && hides(real->args[2], false))
    real = real->args[0];
  else if (!boolean)
    return std::nullopt;
  const auto window = window_of(real);
  if (!window) return std::nullopt;
  meaning.left = window->left;
  meaning.right = window->right;
  return meaning;
}

bool is_zero_at_padding(const ir::Value* value, const ir::Value* mask, Elements& elements,
                        const ops::Facts& facts) {
  const ir::Dims* dims = dims_of(value, facts);
  const ElementRef element = elements.of(value);
  if (dims == nullptr || element == nullptr) return false;
  const auto rank = static_cast<int>(dims->size());
  const ElementRef at_padding =
      simplified(element, [&](const Element& leaf) -> std::optional<double> {
        const bool same = leaf.value == mask && leaf.axes.size() == 2 && leaf.axes[0] == rank - 1 &&
                          leaf.axes[1] == rank - 2;
        return same ? std::optional(0.0) : std::nullopt;
      });
  return at_padding->kind == Kind::number && at_padding->number == 0;
}

}  // namespace tercel::passes
