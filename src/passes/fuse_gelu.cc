#include <array>
#include <cmath>

#include "src/passes/match.h"
#include "src/passes/pass_list.h"

// Exporters write the same formula in many orders. What multiplies and adds up around Erf or Tanh
// is compared as a polynomial in x, which any order gives the same.

namespace tercel::passes {
namespace {

using Polynomial = std::array<double, 4>;  // c0 + c1 x + c2 x² + c3 x³
constexpr int kMaxErfDepth = 8;

std::optional<Polynomial> times(const Polynomial& a, const Polynomial& b) {
  Polynomial result{};
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < b.size(); ++j) {
      const double term = a[i] * b[j];
      if (term == 0) continue;
      if (i + j >= result.size()) return std::nullopt;
      result[i + j] += term;
    }
  }
  return result;
}

std::optional<Polynomial> polynomial(const ir::Value* value, const ir::Value* x, int depth);

std::optional<Polynomial> of_power(const ir::Node& pow, const ir::Value* x, int depth) {
  const auto base = polynomial(pow.input(0), x, depth + 1);
  const auto exponent = scalar_of(pow.input(1));
  if (!base || (exponent != 2.0 && exponent != 3.0)) return std::nullopt;
  const auto square = times(*base, *base);
  return square && exponent == 3.0 ? times(*square, *base) : square;
}

std::optional<Polynomial> of_binary(const ir::Node& node, const ir::Value* x, int depth) {
  auto a = polynomial(node.input(0), x, depth + 1);
  if (!a) return std::nullopt;
  const auto b = polynomial(node.input(1), x, depth + 1);
  if (!b) return std::nullopt;
  if (node.is("Mul")) return times(*a, *b);
  if (node.is("Div")) {
    const bool number = (*b)[0] != 0 && (*b)[1] == 0 && (*b)[2] == 0 && (*b)[3] == 0;
    return number ? times(*a, {1 / (*b)[0]}) : std::nullopt;
  }
  for (std::size_t i = 0; i < a->size(); ++i) (*a)[i] += node.is("Sub") ? -(*b)[i] : (*b)[i];
  return a;
}

// `value` as a polynomial in x; nothing when it is none of degree 3 or less.
std::optional<Polynomial> polynomial(const ir::Value* value, const ir::Value* x, int depth) {
  if (value == x) return Polynomial{0, 1};
  if (const auto number = scalar_of(value)) return Polynomial{*number};
  const ir::Node* node = value != nullptr ? value->producer() : nullptr;
  if (node == nullptr || depth > kMaxErfDepth) return std::nullopt;
  if (node->is("Pow")) return of_power(*node, x, depth);
  if (node->is("Mul") || node->is("Add") || node->is("Sub") || node->is("Div"))
    return of_binary(*node, x, depth);
  return std::nullopt;
}

bool equals(const std::optional<Polynomial>& a, const Polynomial& b) {
  if (!a) return false;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (std::abs((*a)[i] - b[i]) > 1e-4 * std::abs(b[i])) return false;
  }
  return true;
}

const double kSqrtHalf = std::sqrt(0.5);
const double kSqrtTwoOverPi = std::sqrt(2 / 3.14159265358979323846);

// What a product comes to, and its factors beside the value that it began with.
struct Product {
  ir::Value* result;
  std::vector<ir::Value*> factors;
};

// Takes in the next multiplication; false when the product is used in another way.
bool grow(Product& product) {
  ir::Node* mul = sole_user(product.result, "Mul");
  if (mul == nullptr || mul->input(0) == mul->input(1)) return false;
  product.factors.push_back(mul->input(mul->input(0) == product.result ? 1 : 0));
  product.result = mul->output();
  return true;
}

// All other factors together are x / 2.
bool is_half(const std::vector<ir::Value*>& factors, const ir::Value* x) {
  std::optional<Polynomial> product = Polynomial{1};
  for (const ir::Value* factor : factors) {
    const auto next = polynomial(factor, x, 0);
    product = next && product ? times(*product, *next) : std::nullopt;
  }
  return equals(product, {0, 0.5});
}

// x is one of the factors, or what a factor scales.
std::vector<ir::Value*> candidates(const std::vector<ir::Value*>& factors,
                                   const ops::Facts& facts) {
  std::vector<ir::Value*> found;
  for (ir::Value* factor : factors) {
    if (scalar_of(factor)) continue;
    if (const auto inner = scaled(factor, facts)) found.push_back(inner->x);
    found.push_back(factor);
  }
  return found;
}

bool replace(ir::Value* result, ir::Value* x, const ops::Facts& facts, std::string op_type,
             std::vector<ir::Builder::Attr> attributes) {
  if (!same_dims(result, x, facts)) return false;
  ir::Builder b(result->graph(), result->producer());
  take_over(result, b.op(std::move(op_type), {x}, std::move(attributes)));
  return true;
}

bool fuse_gelu_at(ir::Node& node, const ops::Facts& facts) {
  const bool erf = node.is("Erf");
  const Polynomial argument =
      erf ? Polynomial{0, kSqrtHalf} : Polynomial{0, kSqrtTwoOverPi, 0, kSqrtTwoOverPi * 0.044715};
  const ir::Node* add = sole_user(node.output(), "Add");
  if (add == nullptr || !is_scalar(add->input(add->input(0) == node.output() ? 1 : 0), 1))
    return false;
  Product product{add->output(), {}};
  for (int i = 0; i < 3 && grow(product); ++i) {
    for (ir::Value* x : candidates(product.factors, facts)) {
      if (!is_half(product.factors, x) || !equals(polynomial(node.input(0), x, 0), argument))
        continue;
      return replace(product.result, x, facts, "Gelu",
                     {{"approximate", std::string(erf ? "none" : "tanh")}});
    }
  }
  return false;
}

// x · sigmoid(a x)
bool fuse_swish_at(ir::Node& node, const ops::Facts& facts) {
  Product product{node.output(), {}};
  if (!grow(product)) return false;
  ir::Value* x = product.factors.front();
  const auto argument = polynomial(node.input(0), x, 0);
  if (!argument || (*argument)[1] == 0 || !equals(argument, {0, (*argument)[1]})) return false;
  return replace(product.result, x, facts, "Swish",
                 {{"alpha", static_cast<float>((*argument)[1])}});
}

}  // namespace

bool fuse_gelu(ir::Model& model, const PassContext& context) {
  const auto facts = facts_of(model, context);
  bool changed = false;
  for_each_graph(model, [&](ir::Graph& graph) {
    for (const auto& node : graph.nodes()) {
      if (node->is("Erf") || node->is("Tanh")) changed |= fuse_gelu_at(*node, *facts);
      if (node->is("Sigmoid")) changed |= fuse_swish_at(*node, *facts);
    }
  });
  return changed;
}

}  // namespace tercel::passes
