#pragma once
// The constant that a MatMul, Gemm or Conv multiplies by: what passes that quantise weights begin
// with.

#include <optional>

#include "src/base/half.h"
#include "src/ir/model.h"

namespace tercel::passes {

struct ConstantWeight {
  ir::Value* constant = nullptr;  // f32, f16 or bf16
  bool transposed = false;        // what is stored is [N, K]

  // Of a matrix.
  int64_t k() const { return constant->initializer().shape()[transposed ? 1 : 0]; }
  int64_t n() const { return constant->initializer().shape()[transposed ? 0 : 1]; }
};

// Weights of fewer elements are not worth quantising.
inline constexpr int64_t kMinQuantized = 1024;

// The constant of floats, of whatever rank, behind a value: seen through Transpose and Cast.
std::optional<ConstantWeight> constant_behind(ir::Value* value);

// The second factor of a MatMul, or of a Gemm that is one with a bias, seen through Transpose and
// Cast; nothing for other nodes, other factors and small ones.
std::optional<ConstantWeight> constant_weight(const ir::Node& node);

inline float widened(float value) { return value; }
inline float widened(f16 value) { return to_float(value); }
inline float widened(bf16 value) { return to_float(value); }

// use(elements) with a pointer to the weight's elements, of their own type.
template <class Use>
auto with_elements(const Tensor& tensor, const Use& use) {
  if (tensor.dtype() == Dtype::f16) return use(static_cast<const f16*>(tensor.data()));
  if (tensor.dtype() == Dtype::bf16) return use(static_cast<const bf16*>(tensor.data()));
  return use(static_cast<const float*>(tensor.data()));
}

}  // namespace tercel::passes
