#pragma once
// Floating-point types of 4 to 8 bits, one element a code in the lowest bits of a byte: e4m3fn and
// e5m2 (Micikevicius et al., "FP8 Formats for Deep Learning", 2022), their fnuz forms (Noune et
// al., "8-bit Numerical Formats for Deep Neural Networks", 2022), e2m1, e2m3, e3m2 and e8m0 ("OCP
// Microscaling Formats", 2023). Conversions are ONNX's: see its operator Cast.

#include <cstdint>

#include "tercel/dtype.h"

namespace tercel {

bool is_small_float(Dtype dtype);

float small_float_value(Dtype dtype, uint8_t code);

enum class ScaleRounding { up, nearest, down };  // of e8m0, which has powers of two alone

struct SmallFloatOptions {
  // What is too large becomes the largest number, and otherwise infinity or NaN. The types of less
  // than 8 bits have neither and always saturate.
  bool saturate = true;
  ScaleRounding rounding = ScaleRounding::up;
};

// The nearest number, ties to even.
uint8_t small_float_code(Dtype dtype, double value, const SmallFloatOptions& options = {});

}  // namespace tercel
