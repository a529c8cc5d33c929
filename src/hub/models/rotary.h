#pragma once
// Rotary position embedding, the halves of a head turned against each other. Su et al., 2021.

#include <cstdint>

#include "src/hub/models/common.h"

namespace tercel::hub {

struct Rotary {
  ir::Value* cosines;    // f32 [sequence, head size / 2]
  ir::Value* sines;      // the same
  ir::Value* positions;  // int64 [batch, sequence]
};

// Angles of ids [batch, sequence]: place / theta ^ (2 i / head size). Throws Errc::invalid_file for
// an odd head size or a theta that is not positive.
Rotary rotary(Net& net, ir::Value* ids, int64_t head_size, double theta);

// x [batch, sequence, heads * head size], turned by the place of each token.
ir::Value* rotate(Net& net, const Rotary& rotary, ir::Value* x, int64_t heads);

}  // namespace tercel::hub
