#pragma once
// What models have that came from fairseq (RoBERTa, MPNet): positions counted from the tokens, and
// the names of their heads.

#include <cstdint>
#include <string>

#include "src/hub/models/encoder.h"

namespace tercel::hub {

// Rows of `layer`.weight by the place of each token among those that are not `padding`, from
// padding + 1 on; padding has row `padding`.
ir::Value* counted_positions(Net& net, ir::Value* ids, const std::string& layer, int64_t padding,
                             int64_t rows, int64_t columns);

// Limits the tokens of a row to what `rows` positions leave. Throws Errc::invalid_file when that is
// nothing.
void limit_positions(Net& net, int64_t padding, int64_t rows);

// The outputs of the task from the encoder's.
void fairseq_heads(Net& net, const EncoderConfig& c, const std::string& prefix, ir::Value* tokens,
                   ir::Value* attention_mask);

}  // namespace tercel::hub
