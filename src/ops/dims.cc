#include <algorithm>

#include "src/base/checked.h"
#include "src/ops/infer.h"

namespace tercel::ops {
namespace {

// Sums and differences are bracketed when a product takes them in.
std::string factor(const ir::Dim& dim) {
  const std::string text = ir::to_string(dim);
  return text.find_first_of("+-/") == std::string::npos ? text : "(" + text + ")";
}

// Operands of + and * stand in one order, so that equal expressions are equal text.
std::string join(std::string a, std::string b, char op) {
  if (b < a) std::swap(a, b);
  return a + op + b;
}

bool is(const ir::Dim& dim, int64_t value) { return dim.known() && dim.value() == value; }

bool describable(const ir::Dim& a, const ir::Dim& b) {
  constexpr std::size_t kLongest = 120;
  return (a.known() || a.symbolic()) && (b.known() || b.symbolic()) &&
         a.symbol().size() + b.symbol().size() < kLongest;
}

}  // namespace

ir::Dim add(const ir::Dim& a, const ir::Dim& b) {
  if (a.known() && b.known()) return checked_add(a.value(), b.value());
  if (is(a, 0)) return b;
  if (is(b, 0)) return a;
  if (!describable(a, b)) return {};
  return ir::Dim(join(ir::to_string(a), ir::to_string(b), '+'));
}

ir::Dim sub(const ir::Dim& a, const ir::Dim& b) {
  if (a.known() && b.known()) return std::max<int64_t>(a.value() - b.value(), -1);
  if (is(b, 0)) return a;
  if (a.equals(b)) return 0;
  if (!describable(a, b)) return {};
  return ir::Dim(ir::to_string(a) + "-" + factor(b));
}

ir::Dim mul(const ir::Dim& a, const ir::Dim& b) {
  if (a.known() && b.known()) return checked_mul(a.value(), b.value());
  if (is(a, 0) || is(b, 0)) return 0;
  if (is(a, 1)) return b;
  if (is(b, 1)) return a;
  if (!describable(a, b)) return {};
  return ir::Dim(join(factor(a), factor(b), '*'));
}

ir::Dim div_exact(const ir::Dim& a, const ir::Dim& b) {
  if (a.known() && b.known()) return b.value() == 0 ? ir::Dim() : ir::Dim(a.value() / b.value());
  if (is(b, 1)) return a;
  if (a.equals(b)) return 1;
  if (!describable(a, b)) return {};
  return ir::Dim(factor(a) + "/" + factor(b));
}

ir::Dims broadcast(InferContext& context, const ir::Dims& a, const ir::Dims& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  ir::Dims result(rank);
  for (std::size_t i = 0; i < rank; ++i) {  // from the last dimension
    const ir::Dim x = i < a.size() ? a[a.size() - 1 - i] : ir::Dim(1);
    const ir::Dim y = i < b.size() ? b[b.size() - 1 - i] : ir::Dim(1);
    ir::Dim& out = result[rank - 1 - i];
    if (x.equals(y) || is(y, 1))
      out = x;
    else if (is(x, 1))
      out = y;
    else if (x.known() && y.known()) {
      context.reject("shapes {} and {} cannot be broadcast: {} against {}", ir::to_string(a),
                     ir::to_string(b), x.value(), y.value());
    } else if (x.known())
      out = x;  // the other must be equal, or 1
    else if (y.known())
      out = y;
  }
  return result;
}

}  // namespace tercel::ops
