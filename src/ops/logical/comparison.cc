#include "src/ops/contents.h"
#include "src/ops/logical/logical.h"
#include "src/ops/rules.h"

namespace tercel::ops {
namespace {

using Compare = bool (*)(int64_t a, int64_t b);

// Two numbers are compared; a symbol equals itself. A plain dimension is at least 0, where an
// expression with a difference in it need not be.
template <Compare kCompare>
Known known_compare(const Known& a, const Known& b) {
  const auto truth = [](bool value) { return Known(int64_t{value}); };
  const auto negative = [](const Known& x) { return x.is_number() && x.number() < 0; };
  const auto dimension = [](const Known& x) {
    return !x.is_number() && x.symbol().find('-') == std::string::npos;
  };
  if (a.is_number() && b.is_number()) return truth(kCompare(a.number(), b.number()));
  if (a == b) return truth(kCompare(0, 0));
  if (dimension(a) && negative(b)) return truth(kCompare(0, -1));
  if (negative(a) && dimension(b)) return truth(kCompare(-1, 0));
  return {};
}

constexpr bool equal(int64_t a, int64_t b) { return a == b; }
constexpr bool greater(int64_t a, int64_t b) { return a > b; }
constexpr bool greater_or_equal(int64_t a, int64_t b) { return a >= b; }
constexpr bool less(int64_t a, int64_t b) { return a < b; }
constexpr bool less_or_equal(int64_t a, int64_t b) { return a <= b; }

template <Compare kCompare>
void infer_comparison(InferContext& context) {
  infer_broadcast_boolean(context);
  follow_binary(context, known_compare<kCompare>);
}

constexpr OpDef comparison(std::string_view name, int since, int compatible_since,
                           void (*rule)(InferContext&)) {
  return {.name = name,
          .since = since,
          .compatible_since = compatible_since,
          .min_inputs = 2,
          .max_inputs = 2,
          .min_outputs = 1,
          .max_outputs = 1,
          .attributes = {},
          .infer = rule};
}

}  // namespace

constinit const OpDef op_equal = comparison("Equal", 19, 7, infer_comparison<equal>);
constinit const OpDef op_greater = comparison("Greater", 13, 7, infer_comparison<greater>);
constinit const OpDef op_greater_or_equal =
    comparison("GreaterOrEqual", 16, 12, infer_comparison<greater_or_equal>);
constinit const OpDef op_less = comparison("Less", 13, 7, infer_comparison<less>);
constinit const OpDef op_less_or_equal =
    comparison("LessOrEqual", 16, 12, infer_comparison<less_or_equal>);

}  // namespace tercel::ops
