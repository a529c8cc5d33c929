#pragma once
// The two products of attention, bf16 by bf16 with f32 sums: Q, K, V and the weights of the softmax
// (before their division) are rounded. Only for attention.cc; attention_f32.h has the same names.

#include "src/kernels/cpu/gemm_bf16_tile.h"
#include "src/kernels/cpu/gemm_tile.h"
#include "src/kernels/cpu/vmath.h"

TERCEL_ISA_BEGIN

using Factor = Pair;
using QueryBlock = PairBlock;

inline int64_t padded_pairs(int64_t k) { return round_up(pairs_of(k), kPairsAligned); }

inline int64_t packed_keys(int64_t keys, int64_t head_size) {
  return round_up(keys, kPairPanel) * padded_pairs(head_size);
}
inline int64_t packed_values(int64_t keys, int64_t v_head_size) {
  return padded_pairs(keys) * round_up(v_head_size, kPairPanel);
}

inline void pack_keys(const float* k, int64_t row, int64_t keys, int64_t head_size, Pair* out) {
  for (int64_t key = 0; key < keys; key += kPairPanel) {
    pack_pairs(k + key * row, 1, row, head_size, least<int64_t>(kPairPanel, keys - key),
               out + key * padded_pairs(head_size));
  }
}
inline void pack_values(const float* v, int64_t row, int64_t keys, int64_t v_head_size, Pair* out) {
  for (int64_t j = 0; j < v_head_size; j += kPairPanel) {
    pack_pairs(v + j, row, 1, keys, least<int64_t>(kPairPanel, v_head_size - j),
               out + j * padded_pairs(keys));
  }
}

inline void copy_queries(const float* q, int64_t row, int rows, int64_t depth, QueryBlock& out) {
  copy_pairs(q, row, 1, rows, depth, out.values);
}

// With AMX all tiles have kTileRows rows, as changing them takes time: more is written than asked
// for, where there is room.
#if defined(TERCEL_ISA_amx)
constexpr bool kWholeTiles = true;
#else
constexpr bool kWholeTiles = false;
#endif
inline int strip_rows(int rows) { return kWholeTiles ? kTileRows : rows; }

// The scores behind the last key, up to a whole panel, are written as well: there is room.
inline void score_keys(Tiles& tiles, int rows, const QueryBlock& q, const Pair* k_packed,
                       int64_t head_size, int64_t d, int64_t depth, int64_t key, int64_t keys,
                       float* scores) {
  const int64_t pairs = padded_pairs(head_size);
  bf16_strip(tiles, strip_rows(rows), q.values, k_packed + key * pairs + d / 2 * kPairPanel,
             pairs * kPairPanel, pairs_of(depth), scores, kStrideA, ceil_div(keys, kPairPanel),
             d == 0);
}

// exp(score · scale - shift), at most 1, within 7.5e-5 of itself: less than a 25th of what rounding
// it does. 2^floor of the exponent times a polynomial of the rest.
inline Vec weight_of(Vec score, Vec scale, Vec shift) {
  constexpr float kPerLog2 = 1.44269504F;
  constexpr int kFloor = 9;
  constexpr float c[] = {0.999925256F, 0.695833206F, 0.226067916F, 0.0780240595F};
  const Vec exponent = (score * scale - shift) * splat(kPerLog2);
  return _mm512_scalef_ps(polynomial(_mm512_reduce_ps(exponent, kFloor), c), exponent);
}

// Weights take their scores' place, rounded, as rows of pairs: those of keys [i, i + kLanes) of a
// block's row lie in its first half, whose scores have been read.
static_assert(kStrideA * sizeof(float) == kStridePairs * sizeof(Pair));
inline void put_weights(float* row, int64_t i, Vec weights) {
  const auto half = (__m256i)_mm512_cvtneps_pbh(weights);
  copy_bytes(reinterpret_cast<char*>(row) + i * 2, &half, sizeof(half));
}
// Behind the last of `keys` weights, up to a whole step.
inline void end_weights(float* row, int64_t keys) {
  const int64_t written = round_up(keys, kLanes);
  const __m256i none = _mm256_setzero_si256();
  if (written % (2 * kPairsAligned) != 0)
    copy_bytes(reinterpret_cast<char*>(row) + written * 2, &none, sizeof(none));
}

inline void add_values(Tiles& tiles, int rows, const float* weights, const Pair* v_packed,
                       int64_t all_keys, int64_t key, int64_t keys, float* out, int64_t out_row,
                       int64_t v_head_size, bool first) {
  constexpr int64_t kAside = 4 * kPairPanel;  // columns that are computed aside at a time
  const auto* a = reinterpret_cast<const Pair*>(weights);
  const int64_t stride = padded_pairs(all_keys) * kPairPanel;
  const Pair* v = v_packed + key / 2 * kPairPanel;
  const int64_t direct = kWholeTiles ? 0 : v_head_size / kPairPanel;
  bf16_strip(tiles, strip_rows(rows), a, v, stride, pairs_of(keys), out, out_row, direct, first);
  for (int64_t j = direct * kPairPanel; j < v_head_size; j += kAside) {
    alignas(64) float aside[kTileRows * kAside] = {};
    const int64_t columns = least(kAside, v_head_size - j);
    const auto bytes = static_cast<std::size_t>(columns) * sizeof(float);
    for (int r = 0; r < rows && !first; ++r)
      copy_bytes(aside + r * kAside, out + r * out_row + j, bytes);
    bf16_strip(tiles, strip_rows(rows), a, v + j / kPairPanel * stride, stride, pairs_of(keys),
               aside, kAside, ceil_div(columns, kPairPanel), first);
    for (int r = 0; r < rows; ++r) copy_bytes(out + r * out_row + j, aside + r * kAside, bytes);
  }
}

TERCEL_ISA_END
