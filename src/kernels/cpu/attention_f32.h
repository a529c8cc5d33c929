#pragma once
// The two products of attention in f32. Only for attention.cc; attention_bf16.h has the same names.

#include "src/kernels/cpu/gemm_tile.h"
#include "src/kernels/cpu/tiles.h"
#include "src/kernels/cpu/vmath.h"

TERCEL_ISA_BEGIN

using Factor = float;  // of what is packed
using QueryBlock = ABlock;

// Of K and V packed, in floats.
inline int64_t packed_keys(int64_t keys, int64_t head_size) {
  return round_up(keys, kPanel) * head_size;
}
inline int64_t packed_values(int64_t keys, int64_t v_head_size) {
  return keys * round_up(v_head_size, kPanel);
}

inline void pack_keys(const float* k, int64_t row, int64_t keys, int64_t head_size, float* out) {
  for (int64_t key = 0; key < keys; key += kPanel) {
    pack_panel(k + key * row, 1, row, head_size, least<int64_t>(kPanel, keys - key),
               out + key * head_size);
  }
}
inline void pack_values(const float* v, int64_t row, int64_t keys, int64_t v_head_size,
                        float* out) {
  for (int64_t j = 0; j < v_head_size; j += kPanel) {
    pack_panel(v + j, row, 1, keys, least<int64_t>(kPanel, v_head_size - j), out + j * keys);
  }
}

inline void copy_queries(const float* q, int64_t row, int rows, int64_t depth, QueryBlock& out) {
  copy_a(q, row, 1, rows, depth, out.values);
}

// Scores of `keys` keys from `key` on, over `depth` elements of the heads from `d` on.
inline void score_keys(Tiles&, int rows, const QueryBlock& q, const float* k_packed,
                       int64_t head_size, int64_t d, int64_t depth, int64_t key, int64_t keys,
                       float* scores) {
  gemm_strip(rows, q.values, k_packed + key * head_size + d * kPanel, head_size * kPanel, depth,
             scores, kStrideA, keys, d == 0);
}

// out[rows, v_head_size] of `keys` <= kBlockK weights, those of the keys from `key` on, of
// `all_keys`; added to what is there unless `first`.
inline void add_values(Tiles&, int rows, const float* weights, const float* v_packed,
                       int64_t all_keys, int64_t key, int64_t keys, float* out, int64_t out_row,
                       int64_t v_head_size, bool first) {
  gemm_strip(rows, weights, v_packed + key * kPanel, all_keys * kPanel, keys, out, out_row,
             v_head_size, first);
}

// exp(score · scale - shift), at most 1.
inline Vec weight_of(Vec score, Vec scale, Vec shift) {
  return exp_of_negative(score * scale - shift);
}

// Weights take their scores' place: those of keys [i, i + kLanes) of a block's row.
inline void put_weights(float* row, int64_t i, Vec weights) { store(row + i, weights); }
inline void end_weights(float*, int64_t) {}

TERCEL_ISA_END
