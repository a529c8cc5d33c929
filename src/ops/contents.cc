#include "src/ops/contents.h"

#include <algorithm>

namespace tercel::ops {
namespace {

bool followed(const Known& x) { return x.is_number() || !x.symbol().empty(); }

// Numbers by `exact` (which reports overflow as __builtin_add_overflow does), dimensions by `dims`.
template <class Exact, class OfDims>
Known combine(const Known& a, const Known& b, Exact exact, OfDims of_dims) {
  if (a.is_number() && b.is_number()) {
    int64_t result = 0;
    return exact(a.number(), b.number(), &result) ? Known() : Known(result);
  }
  const ir::Dim x = a.dim();
  const ir::Dim y = b.dim();
  const bool usable = (x.known() || x.symbolic()) && (y.known() || y.symbolic());
  return usable ? Known(of_dims(x, y)) : Known();
}

}  // namespace

bool followed_dtype(Dtype dtype) { return dtype == Dtype::i64 || dtype == Dtype::i32; }

Known known_add(const Known& a, const Known& b) {
  const auto exact = [](int64_t x, int64_t y, int64_t* z) {
    return __builtin_add_overflow(x, y, z);
  };
  return combine(a, b, exact, add);
}

Known known_sub(const Known& a, const Known& b) {
  const auto exact = [](int64_t x, int64_t y, int64_t* z) {
    return __builtin_sub_overflow(x, y, z);
  };
  return combine(a, b, exact, sub);
}

Known known_mul(const Known& a, const Known& b) {
  const auto exact = [](int64_t x, int64_t y, int64_t* z) {
    return __builtin_mul_overflow(x, y, z);
  };
  return combine(a, b, exact, mul);
}

Known known_div(const Known& a, const Known& b) {
  const auto exact = [](int64_t x, int64_t y, int64_t* z) {
    if (y == 0 || (x == INT64_MIN && y == -1)) return true;
    *z = x / y;
    return false;
  };
  return combine(a, b, exact, div_exact);
}

Known known_min(const Known& a, const Known& b) {
  if (a.is_number() && b.is_number()) return Known(std::min(a.number(), b.number()));
  return a == b ? a : Known();
}

Known known_max(const Known& a, const Known& b) {
  if (a.is_number() && b.is_number()) return Known(std::max(a.number(), b.number()));
  return a == b ? a : Known();
}

void follow_binary(InferContext& context, KnownFunction function) {
  const Contents* a = context.contents(0);
  const Contents* b = context.contents(1);
  const auto rank_a = context.rank(0);
  const auto rank_b = context.rank(1);
  if (a == nullptr || b == nullptr || !rank_a || !rank_b || *rank_a > 1 || *rank_b > 1) return;
  if (a->size() != b->size() && a->size() != 1 && b->size() != 1) return;
  Contents result;
  const std::size_t size = a->size() == 1 ? b->size() : a->size();
  for (std::size_t i = 0; i < size; ++i) {
    const Known& x = (*a)[a->size() == 1 ? 0 : i];
    const Known& y = (*b)[b->size() == 1 ? 0 : i];
    result.push_back(followed(x) && followed(y) ? function(x, y) : Known());
  }
  context.set_contents(0, std::move(result));
}

void follow_unary(InferContext& context, Known (*function)(const Known& x)) {
  const Contents* x = context.contents(0);
  if (x == nullptr) return;
  Contents result;
  for (const Known& element : *x) result.push_back(function(element));
  context.set_contents(0, std::move(result));
}

}  // namespace tercel::ops
