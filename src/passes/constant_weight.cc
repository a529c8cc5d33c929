#include "src/passes/constant_weight.h"

namespace tercel::passes {
namespace {

// A Gemm that is a MatMul and a bias.
bool is_plain_gemm(const ir::Node& node) {
  return node.is("Gemm") && node.float_or("alpha", 1) == 1 && node.int_or("transA", 0) == 0 &&
         (node.input(2) == nullptr || node.float_or("beta", 1) == 1);
}

}  // namespace

std::optional<ConstantWeight> constant_behind(ir::Value* value) {
  ConstantWeight weight;
  constexpr int kLongestChain = 4;
  for (int i = 0; value != nullptr && !value->is_constant(); ++i) {
    const ir::Node* node = value->producer();
    if (node == nullptr || i == kLongestChain) return std::nullopt;
    const auto perm =
        node->is("Transpose") ? node->ints_or("perm", {1, 0}) : std::vector<int64_t>();
    if (perm == std::vector<int64_t>{1, 0})
      weight.transposed = !weight.transposed;
    else if (!node->is("Cast"))
      return std::nullopt;
    value = node->input(0);
  }
  if (value == nullptr) return std::nullopt;
  const Dtype dtype = value->initializer().dtype();
  if (dtype != Dtype::f32 && dtype != Dtype::f16 && dtype != Dtype::bf16) return std::nullopt;
  weight.constant = value;
  return weight;
}

std::optional<ConstantWeight> constant_weight(const ir::Node& node) {
  if (!node.is("MatMul") && !is_plain_gemm(node)) return std::nullopt;
  auto weight = constant_behind(node.input(1));
  if (!weight || weight->constant->initializer().rank() != 2 ||
      weight->constant->initializer().size() < kMinQuantized)
    return std::nullopt;
  if (node.is("Gemm") && node.int_or("transB", 0) != 0) weight->transposed = !weight->transposed;
  return weight;
}

}  // namespace tercel::passes
