#pragma once
// Conversions between f32 and the 16-bit floating-point types (round to nearest even, NaN kept,
// subnormals exact: the bits of src/base/half.h).

#include <cstdint>

#include "tercel/dtype.h"

namespace tercel {
class ThreadPool;
}

namespace tercel::kernels {

// One of the two types is f32, the other f16 or bf16. The arrays may not overlap.
struct ConvertArgs {
  int64_t count = 0;
  const void* from = nullptr;
  Dtype from_type = Dtype::f32;
  void* to = nullptr;
  Dtype to_type = Dtype::f32;
};

struct ConvertKernels {
  // Throws Errc::unsupported for another pair of types.
  void (*convert)(const ConvertArgs& args, ThreadPool& pool);
};

}  // namespace tercel::kernels
