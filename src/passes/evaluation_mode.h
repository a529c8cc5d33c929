#pragma once

#include "src/ir/model.h"

namespace tercel::passes {

// Nothing of training is run: Dropout keeps everything, BatchNormalization takes the statistics
// that the model holds, and leaves them as they are. A model that was exported in training mode
// gets a warning that says so. Of any opset. Throws Errc::unsupported where the model's outputs are
// what training would change.
void use_evaluation_mode(ir::Model& model);

}  // namespace tercel::passes
