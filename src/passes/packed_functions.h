#pragma once
// The model-local functions of packed rows. Kernels are bound to their names
// (src/ops/nn/packed_*_cpu.cc); the bodies, in standard operators, are what they mean, what other
// runtimes run, and what tests compare with.
//
//   rows, offsets, positions, first, valid = tercel.PackedRows(mask)
//     mask: [batch, length], not 0 where there is a token. When every sequence is one or more real
//     tokens and then padding, the rows are the real tokens, sequence after sequence; otherwise
//     they are all places, and `valid` alone says which are real.
//     rows [tokens]: place of each row in [batch · length], ascending; offsets [batch + 1]: where
//     the sequences begin among the rows; positions [tokens]: places in the sequence; first
//     [batch]: each sequence's first row; valid: [batch, length]. A kernel may repeat the last row
//     behind the last sequence's: what becomes of such rows is read by nobody.
//   y = tercel.PackedAttention(q, k, v, offsets, rows, valid, bias)
//     Attention of each sequence's rows [tokens, heads · size] to its own valid ones, with what is
//     added to the scores: bias, a scalar or [1, heads or 1, length, length]. A query at place p
//     sees the places [p - left_window, p + right_window].
//   y = tercel.UnpackedRows(x, rows, valid)
//     [tokens, …] to [batch, length, …]: zeros where `valid` is false.

#include "src/ir/model.h"

namespace tercel::passes {

// Adds the functions that the model does not have, and imports their domain.
void add_packed_functions(ir::Model& model);

}  // namespace tercel::passes
