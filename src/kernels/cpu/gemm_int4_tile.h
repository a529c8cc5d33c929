#pragma once
// The inner part of products of rounded rows by weights of 4 bits: how both lie in memory, and
// tiles of C kept in registers. Only for sources of tercel_isa_sources.

#include <utility>

#include "src/kernels/cpu/gemm_grouped.h"
#include "src/kernels/cpu/gemm_int4.h"

TERCEL_ISA_BEGIN

// Behind a first line that holds a GroupedFacts lies panel after panel of kPanel columns, and in
// each of them group after group: the scales in f32, an eighth of the zero points in f32 if there
// are any, then the weights, block after block. Weights and zero points are 0 … 15.
//
// A block is kInt4Words times a word of 32 bits a column. Byte i of word w has the block's step
// 4 w + i in its lower half and step 16 + 4 w + i in the upper.
constexpr int kInt4Words = 4;
constexpr int64_t kHalfBlock = kInt4Block / 2;
constexpr int64_t kInt4BlockBytes = int64_t{kPanel} * kHalfBlock;

struct Int4B {
  int64_t group_blocks, head_bytes, panel_bytes, blocks;
  const char* panels;  // null: its sizes alone are wanted

  Int4B(int64_t k, const GroupedFacts& facts, const void* packed)
      : group_blocks(ceil_div(facts.group, kInt4Block)),
        head_bytes(facts.has_zero != 0 ? 2 * kHeadBytes : kHeadBytes),
        panel_bytes(ceil_div(ceil_div(k, kInt4Block), group_blocks) * head_bytes +
                    ceil_div(k, kInt4Block) * kInt4BlockBytes),
        blocks(ceil_div(k, kInt4Block)),
        panels(packed == nullptr ? nullptr : static_cast<const char*>(packed) + kLine) {}
};

// A rounded row: its bytes, then of each block the scale and eight times the sum. Rows are an odd
// number of lines apart: those of one stride of 4 KiB would share a set of the cache.
struct Int4Rows {
  int64_t blocks, stride;

  explicit Int4Rows(int64_t k) : blocks(ceil_div(k, kInt4Block)) {
    const int64_t lines = ceil_div(blocks * (kInt4Block + 2 * 4), kLine);
    stride = (lines + 1 - lines % 2) * kLine;
  }
  const float* facts(const int8_t* row) const {
    return reinterpret_cast<const float*>(row + blocks * kInt4Block);
  }
};

inline Int word_at(const void* from) {
  Int words;
  copy_bytes(&words, from, sizeof(words));
  return words;
}
inline Int same_word(const int8_t* from) {
  int32_t word;
  copy_bytes(&word, from, sizeof(word));
  return splat_int(word);
}

// Sums of products of a block, a column a lane: in 32 bits, or in pairs of 16 bits where the
// products of bytes come so. Those hold 8 products of 2 · 15 · 127.
#if (defined(TERCEL_ISA_avx2) && !defined(TERCEL_ISA_avx2_vnni)) || \
    (defined(TERCEL_ISA_avx512) && !defined(TERCEL_ISA_avx512_vnni) && !defined(TERCEL_ISA_amx))
typedef int16_t BlockSum __attribute__((vector_size(4 * kLanes)));
#else
typedef Int BlockSum;
#endif

// `weights` and `row` are bytes, four a lane: 0 … 15, and signed.
inline BlockSum add_bytes(BlockSum sum, Int weights, Int row) {
#if defined(TERCEL_ISA_avx2_vnni)
  return (Int)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)weights, (__m256i)row);
#elif defined(TERCEL_ISA_avx512_vnni) || defined(TERCEL_ISA_amx)
  return (Int)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)weights, (__m512i)row);
#elif defined(TERCEL_ISA_avx512)
  return sum + (BlockSum)_mm512_maddubs_epi16((__m512i)weights, (__m512i)row);
#elif defined(TERCEL_ISA_avx2)
  return sum + (BlockSum)_mm256_maddubs_epi16((__m256i)weights, (__m256i)row);
#else
  for (int bits = 0; bits < 32; bits += 8)
    sum += ((weights >> bits) & splat_int(15)) * ((row << (24 - bits)) >> 24);
  return sum;
#endif
}

inline Vec block_total(BlockSum sum) {
#if defined(TERCEL_ISA_avx2_vnni) || defined(TERCEL_ISA_avx512_vnni) || defined(TERCEL_ISA_amx)
  return __builtin_convertvector(sum, Vec);
#elif defined(TERCEL_ISA_avx512)
  return __builtin_convertvector((Int)_mm512_madd_epi16((__m512i)sum, _mm512_set1_epi16(1)), Vec);
#elif defined(TERCEL_ISA_avx2)
  return __builtin_convertvector((Int)_mm256_madd_epi16((__m256i)sum, _mm256_set1_epi16(1)), Vec);
#else
  return __builtin_convertvector(sum, Vec);
#endif
}

// C[ROWS, kPanel].
template <int ROWS, bool ZERO>
void int4_tile(const int8_t* a, const Int4Rows& rows, const Int4B& b, const char* panel, float* c,
               int64_t c_row) {
  constexpr int64_t kBytesAhead = 16 * kLine;
  Vec sum[ROWS][2] = {};
  const float* facts = rows.facts(a);
  const int64_t facts_stride = rows.stride / static_cast<int64_t>(sizeof(float));
  for (int64_t block = 0; block < b.blocks;) {
    const int64_t end = least(b.blocks, block + b.group_blocks);
    const auto* head = reinterpret_cast<const float*>(panel);
    const Vec scale[2] = {load(head), load(head + kLanes)};
    Vec zero[2] = {};
    if (ZERO) {
      zero[0] = load(head + kPanel);
      zero[1] = load(head + kPanel + kLanes);
    }
    panel += b.head_bytes;
    for (; block < end; ++block, a += kInt4Block, facts += 2) {
      BlockSum sums[ROWS][2] = {};
      // As a loop: unrolled, all products are made before any is added, and spilled.
#pragma GCC unroll 1
      for (int w = 0; w < kInt4Words; ++w, panel += kPanel * 4) {
        for (int64_t line = 0; line < kPanel * 4; line += kLine)
          fetch_to_l1(panel + kBytesAhead + line);
        const Int words[2] = {word_at(panel), word_at(panel + kLanes * 4)};
        const Int nibbles = splat_int(0x0f0f0f0f);
        const Int low[2] = {words[0] & nibbles, words[1] & nibbles};
        const Int high[2] = {(words[0] >> 4) & nibbles, (words[1] >> 4) & nibbles};
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r) {
          const int8_t* row = a + r * rows.stride + 4 * w;
          const Int first = same_word(row), second = same_word(row + kHalfBlock);
#pragma GCC unroll 2
          for (int j = 0; j < 2; ++j)
            sums[r][j] = add_bytes(add_bytes(sums[r][j], low[j], first), high[j], second);
        }
      }
#pragma GCC unroll 8
      for (int r = 0; r < ROWS; ++r) {
        const float* own = facts + r * facts_stride;
        const Vec row_scale = splat(own[0]), row_sum = splat(own[1]);
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
          const Vec taken = ZERO ? zero[j] * row_sum : row_sum;
          sum[r][j] = fma(block_total(sums[r][j]) - taken, scale[j] * row_scale, sum[r][j]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
    store(c + r * c_row, sum[r][0]);
    store(c + r * c_row + kLanes, sum[r][1]);
  }
}

#if defined(TERCEL_ISA_avx512)
constexpr int kInt4TileRows = 8;
#else
constexpr int kInt4TileRows = 4;
#endif

using Int4Tile = void (*)(const int8_t*, const Int4Rows&, const Int4B&, const char*, float*,
                          int64_t);
struct Int4Tiles {
  Int4Tile by_rows[kInt4TileRows];
};
template <bool ZERO, int... R>
constexpr Int4Tiles make_int4_tiles(std::integer_sequence<int, R...>) {
  return {{&int4_tile<R + 1, ZERO>...}};
}
template <bool ZERO>
constexpr Int4Tiles kInt4Tiles =
    make_int4_tiles<ZERO>(std::make_integer_sequence<int, kInt4TileRows>());

TERCEL_ISA_END
