#pragma once
// What each element of a value is, as a function of its coordinates: so a pass sees that a mask is
// a padding mask, by whatever gathers, ranges and broadcasts an exporter wrote it down.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/ops/infer.h"

namespace tercel::passes {

struct Element;
using ElementRef = std::shared_ptr<const Element>;

// Axes count from the last one, 0, so that values that broadcast together agree on them.
struct Element {
  enum class Kind {
    number,      // the same everywhere
    size,        // the same everywhere: what `op` names, a symbolic dimension
    coordinate,  // where the element stands along axes[0]
    value,       // value[axes[0], axes[1], …]; graph inputs too
    op,          // op(args)
  };
  Kind kind;
  double number = 0;
  std::string op;
  const ir::Value* value = nullptr;
  std::vector<int> axes;
  std::vector<ElementRef> args;
  int weight = 1;  // of the whole expression

  bool is(std::string_view name) const { return kind == Kind::op && op == name; }
};

class Elements {
 public:
  explicit Elements(const ops::Facts& facts) : facts_(facts) {}

  // Null when not even the rank is known.
  ElementRef of(const ir::Value* value);

 private:
  ElementRef find(const ir::Value* value, int depth);
  ElementRef derive(const ir::Value* value, int depth);
  ElementRef moved(const ir::Value* value, int depth);
  ElementRef transposed(const ir::Node& node, int depth);
  ElementRef gathered(const ir::Node& node, int depth);
  ElementRef gathered_nd(const ir::Node& node, int depth);
  ElementRef computed(const ir::Node& node, int depth);
  ElementRef opaque(const ir::Value* value) const;

  const ops::Facts& facts_;
  std::unordered_map<const ir::Value*, ElementRef> known_;
};

// The expression once each value[…] is what `choose` says, or stays. Scores of -1e30 and less hide
// whatever is added to them.
ElementRef simplified(const ElementRef& element,
                      const std::function<std::optional<double>(const Element&)>& choose);

// Calls `visit` for each value[…] in the expression.
void for_each_value(const ElementRef& element, const std::function<void(const Element&)>& visit);

// A score below which a key is not seen.
inline constexpr double kHiddenScore = -1e30;

}  // namespace tercel::passes
