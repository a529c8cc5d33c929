#pragma once
// The tables of operators, one a family (the folders beside this file). A new operator is a line in
// its family's header and a row in its family's table.

#include <span>
#include <vector>

#include "src/ops/op_def.h"

namespace tercel::ops {

using Family = std::span<const OpDef* const>;

Family math_ops();
Family nn_ops();
Family tensor_ops();
Family reduction_ops();
Family logical_ops();
Family controlflow_ops();
Family generator_ops();
Family image_ops();
Family quantization_ops();
Family rnn_ops();
Family sequence_ops();
Family signal_ops();
Family strings_ops();

std::vector<Family> families();

}  // namespace tercel::ops
