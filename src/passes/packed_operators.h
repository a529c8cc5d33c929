#pragma once
// What operators mean over packed rows. Each of these builds the packed form of `node`, whose
// tokens are packed already, and keeps it in `values`; or says why there is none, and gives false.

#include "src/passes/packed_values.h"

namespace tercel::passes {

// Any operator: by the table of them.
bool pack(PackedValues& values, ir::Node& node);

namespace packed {

// Operators that move tokens, or parts of them (packed_moves.cc).
bool concat(PackedValues& values, ir::Node& node, ir::Builder& b);
bool split(PackedValues& values, ir::Node& node, ir::Builder& b);
bool squeeze(PackedValues& values, ir::Node& node, ir::Builder& b);  // and Unsqueeze
bool reshape(PackedValues& values, ir::Node& node, ir::Builder& b);
bool transpose(PackedValues& values, ir::Node& node, ir::Builder& b);
bool slice(PackedValues& values, ir::Node& node, ir::Builder& b);
bool gather(PackedValues& values, ir::Node& node, ir::Builder& b);

// Attention and what depends on positions (packed_attention.cc).
bool rotary(PackedValues& values, ir::Node& node, ir::Builder& b);
bool attention(PackedValues& values, ir::Node& node, ir::Builder& b);

}  // namespace packed

std::vector<ir::Builder::Attr> attributes_of(const ir::Node& node);

}  // namespace tercel::passes
