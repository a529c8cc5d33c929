#pragma once

#include <map>
#include <string>

#include "tercel/tensor.h"

namespace tercel {

// What goes into a model and comes out of it. Sequences and optional values are tensors as well:
// see Tensor.
using NamedTensors = std::map<std::string, Tensor>;

}  // namespace tercel
