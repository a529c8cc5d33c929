#pragma once
// Random bytes, and rows of 8-bit integers by the text of gemm_int8.h.

#include <algorithm>

#include "src/kernels/cpu/test_support.h"

namespace tercel::kernels {

template <class T>
std::vector<T> random_bytes(std::mt19937& random, int64_t count) {
  std::uniform_int_distribution<int> uniform(std::numeric_limits<T>::min(),
                                             std::numeric_limits<T>::max());
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) value = static_cast<T>(uniform(random));
  return values;
}

// A row as the kernels quantise it, by the text of the header.
struct QuantizedRow {
  std::vector<int> values;  // without the zero point
  float scale = 0;

  QuantizedRow(const float* row, int64_t k) {
    float low = 0, high = 0;
    for (int64_t i = 0; i < k; ++i) {
      low = std::min(low, row[i]);
      high = std::max(high, row[i]);
    }
    const float range = std::max(high - low, 1e-30F);
    const float inverse = 255 / range;
    const auto zero = static_cast<int>(std::nearbyint(-low * inverse));
    scale = range / 255;
    for (int64_t i = 0; i < k; ++i) {
      const int q = static_cast<int>(std::nearbyint(row[i] * inverse)) + zero;
      values.push_back(std::clamp(q, 0, 255) - zero);
    }
  }
};

}  // namespace tercel::kernels
