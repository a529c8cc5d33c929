#pragma once
// Loops over one row of f32, with sums whose order depends on the row's length alone. Only for
// sources of tercel_isa_sources.

#include "src/kernels/cpu/gemm.h"
#include "src/kernels/cpu/vmath.h"

TERCEL_ISA_BEGIN

constexpr int kParts = 4;  // independent vectors: L of reduce.h is kParts * kLanes

// One row: elements mapped, joined lane by lane in ascending order, then across the lanes by
// halves.
template <class Map, class Join>
inline float fold_row(const float* x, int64_t count, float neutral, Map map, Join join) {
  Vec part[kParts] = {splat(neutral), splat(neutral), splat(neutral), splat(neutral)};
  int64_t i = 0;
  for (; i + kParts * kLanes <= count; i += kParts * kLanes) {
    for (int p = 0; p < kParts; ++p) part[p] = join(part[p], map(load(x + i + p * kLanes)));
  }
  for (int p = 0; i < count; ++p, i += kLanes) {
    const int64_t left = count - i;
    if (left >= kLanes) {
      part[p] = join(part[p], map(load(x + i)));
    } else {
      const Vec value = map(load_some(x + i, left));
      const Int there = lane_numbers() < static_cast<int32_t>(left);
      part[p] = join(part[p], select(there, value, splat(neutral)));
    }
  }
  return across(join(join(part[0], part[1]), join(part[2], part[3])), join);
}

// y[i] = function(x[i], i), of f32, or of f16 or bf16 widened
template <class T, class Function>
inline void map_row(const T* x, float* y, int64_t count, Function function) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(y + i, function(load(x + i), i, kLanes));
  if (i < count) {
    store_some(y + i, function(load_some(x + i, count - i), i, count - i), count - i);
  }
}

const auto kSame = [](Vec x) { return x; };
const auto kAdd = [](Vec a, Vec b) { return a + b; };

inline Vec some_of(const float* from, int64_t at, int64_t count) {
  return count >= kLanes ? load(from + at) : load_some(from + at, count);
}

struct Moments {
  float mean, inverse;  // of the deviation
};

// y = (x - mean) / sqrt(variance + epsilon) · scale + bias; the mean counts as zero unless
// `centred`.
inline Moments normalize_row(const float* x, float* y, int64_t n, const RowNorm& norm,
                             bool centred) {
  const auto count = static_cast<float>(n);
  const float mean = centred ? fold_row(x, n, 0.0F, kSame, kAdd) / count : 0.0F;
  const Vec centre = splat(mean);
  const float squares = fold_row(
      x, n, 0.0F, [&](Vec value) { return (value - centre) * (value - centre); }, kAdd);
  const Vec inverse = splat(1.0F) / square_root(splat(squares / count) + splat(norm.epsilon));
  map_row(x, y, n, [&](Vec value, int64_t i, int64_t width) {
    Vec result = (value - centre) * inverse;
    if (norm.scale != nullptr) result *= some_of(norm.scale, i, width);
    if (norm.bias != nullptr) result += some_of(norm.bias, i, width);
    return result;
  });
  return {mean, inverse[0]};
}

TERCEL_ISA_END
