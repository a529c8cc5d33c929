#include "src/ops/generator/generator.h"

#include "src/ops/definitions.h"

namespace tercel::ops {

Family generator_ops() { return {}; }

}  // namespace tercel::ops
