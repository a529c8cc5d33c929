#pragma once
// Raising models to the newest opset, so that every kernel and pass knows one meaning of each
// operator.

#include "src/ir/model.h"

namespace tercel::passes {

// The oldest opset that is read.
inline constexpr int64_t kOldestOpset = 7;

// Rewrites every node of ONNX's own domain, in the graph, its subgraphs and the functions, to mean
// at ir::kOpset what it means now, and stamps the model with that version. An opset that is newer
// by one gives a warning. Throws Errc::unsupported below kOldestOpset, for a still newer opset, for
// an operator of a newer opset that is not known, and for the few old forms that have no equal.
// Operators of ONNX Runtime's domain that are known (MatMulNBits, QLinearAdd, …) become ONNX's own.
void adapt_to_newest(ir::Model& model);

}  // namespace tercel::passes
