#pragma once
// Recurrent networks: RNN, GRU, LSTM.

#include "src/ops/op_def.h"

namespace tercel::ops {

extern const OpDef gru;
extern const OpDef lstm;
extern const OpDef rnn;

}  // namespace tercel::ops
